/**
 * Leaves out the oldest messages of a conversation that is longer than the context. System messages and the last
 * message stay.
 */
import { maxTextBytes, textBytes } from '../models/tokenizer/text-limit.js'
import { tokensOf, type PromptModel } from './prompt-reader.js'
import type { ChatPrompt } from './protocol.js'

/** Share of the context kept for an answer of no given length. */
const shareOfAnswer = 1 / 8

/** Whether a message may be left out. */
const mayGo = ({ messages }: ChatPrompt, index: number): boolean =>
  messages[index]!.role !== 'system' && index < messages.length - 1

/**
 * The conversation without the first messages that may be left out, and without results whose calls are among them.
 * @param dropped how many
 */
function without (chat: ChatPrompt, dropped: number): ChatPrompt {
  let left = dropped
  let wasDropped = false
  return {
    ...chat,
    messages: chat.messages.filter(({ role }, index) => {
      if (!mayGo(chat, index)) return true
      wasDropped = left-- > 0 || (wasDropped && role === 'tool')
      return !wasDropped
    })
  }
}

/** How many of some sizes must go from the front until the others are at most so much together. */
function excess (sizes: Iterable<number>, count: number, room: number): number {
  let [kept, total] = [0, 0]
  for (const size of sizes) {
    total += size
    if (total > room) break
    kept++
  }
  return count - kept
}

/**
 * The least of the numbers from `least` to `most` that fits, where all from some number on do. Looks first near a
 * guess: each look reads the whole conversation.
 */
function leastThatFits (least: number, most: number, guess: number, fits: (dropped: number) => boolean): number {
  let [low, high, next] = [least, most, guess]
  for (let step = 1; low < high; step *= 2) {
    const at = next >= low && next < high ? next : (low + high) >> 1
    if (fits(at)) {
      high = at
      next = at - step
    } else {
      low = at + 1
      next = at + step
    }
  }
  return low
}

/**
 * A conversation with as many of its last messages as leave room for the answer; without any of them, where none do.
 * @param maxTokens longest answer, tokens; null where it was not given
 */
export function truncated (model: PromptModel, chat: ChatPrompt, maxTokens: number | null): ChatPrompt {
  const { contextLength, tokenizer } = model
  // One token more than the answer may be read to score it.
  const room = contextLength - 1 - (maxTokens ?? Math.ceil(contextLength * shareOfAnswer))
  const loose = chat.messages.filter((_, index) => mayGo(chat, index)).reverse()
  const count = loose.length
  const fixedBytes = textBytes([chat.messages.filter((_, index) => !mayGo(chat, index)), chat.tools])
  // Text that no context has room for is never tokenised.
  const least = excess(loose.map(textBytes), count, maxTextBytes(model) - fixedBytes)
  function * newestFirst (): Generator<number> {
    for (const { content } of loose) yield tokenizer.encode(content).length
  }
  const fits = (dropped: number): boolean => tokensOf(model, without(chat, dropped)).length <= room
  return without(chat, leastThatFits(least, count, excess(newestFirst(), count, room), fits))
}
