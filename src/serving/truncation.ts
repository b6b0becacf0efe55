/**
 * Leaves out the oldest messages of a conversation that is longer than the context. System messages and the last
 * message stay.
 */
import type { LoadedModel } from '../models/model.js'
import { tokensOf } from './prompt-reader.js'
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

/**
 * A conversation with as many of its last messages as leave room for the answer; without any of them, where none do.
 * @param maxTokens longest answer, tokens; null where it was not given
 */
export function truncated (model: LoadedModel, chat: ChatPrompt, maxTokens: number | null): ChatPrompt {
  const { contextLength } = model
  // One token more than the answer may be read to score it.
  const room = contextLength - 1 - (maxTokens ?? Math.ceil(contextLength * shareOfAnswer))
  const fits = (dropped: number): boolean => tokensOf(model, without(chat, dropped)).length <= room
  if (fits(0)) return chat
  // The fewest that must go, by halving: every look renders and tokenises the conversation.
  let [least, most] = [0, chat.messages.filter((_, index) => mayGo(chat, index)).length]
  while (least < most) {
    const middle = (least + most) >> 1
    if (fits(middle)) most = middle
    else least = middle + 1
  }
  return without(chat, least)
}
