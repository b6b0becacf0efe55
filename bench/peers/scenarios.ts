/**
 * What the engines are asked to do, and the tokens they are given: the same for all of them in one alternation, others
 * in the next.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RequestError } from '../../src/errors.js'
import { packageRoot } from '../../src/package-root.js'
import { promptOf } from '../load/prompts.js'
import type { Task } from './protocol.js'

export interface Scenario {
  readonly name: string
  readonly candidates: number
  readonly promptTokens: number
  /** Tokens of each candidate; 1 in a scenario that is about reading. */
  readonly newTokens: number
}

/** In the order they are measured. @param newTokens tokens of each candidate, where the scenario is about writing */
export function scenariosOf (newTokens: number): Scenario[] {
  const writing = [[32, 128], [32, 512], [32, 1024], [8, 128], [1, 128]] as const
  return [
    ...writing.map(([candidates, promptTokens]) => ({
      name: `n${candidates}-p${promptTokens}`, candidates, promptTokens, newTokens
    })),
    { name: 'prefill-p512', candidates: 1, promptTokens: 512, newTokens: 1 }
  ]
}

/** Tokens of a chat with one message, in the model's template. */
export type EncodeChat = (message: string) => number[]

/** Tokens before the measured ones that each engine draws to be warm. */
export const warmUpTokens = 8
/**
 * Far beyond the index of any measured prompt; with a remainder of its own, so that questions and chats are others too.
 */
export const warmUpPrompts = 1_000_003

const chats = JSON.parse(readFileSync(join(packageRoot, 'models', 'calibration', 'chats.json'),
  'utf8')) as ReadonlyArray<readonly [question: string, answer: string]>

/** Between the numbers that are tried for one message; beyond every index. */
const nextNumber = 10_000_019

/**
 * A message whose chat has `length` tokens. It begins with a number, so that those of different indices have nothing in
 * common.
 * @throws RequestError where an empty message has more
 */
export function messageOf (encodeChat: EncodeChat, length: number, index: number): string {
  // Words go from the front until the length is met; where a word skips it, another number is tried.
  for (let number = index; ; number += nextNumber) {
    const lengthWith = (text: string): number => encodeChat(`${number}: ${text}`).length
    if (lengthWith('') > length) {
      throw new RequestError('invalid_request',
        `a prompt has at least ${lengthWith('')} tokens with this model's chat template; got ${length}`)
    }
    let text = promptOf(number)
    for (let chat = number; lengthWith(text) < length; chat++) {
      text = `${chats[chat % chats.length]!.join('\n')}\n\n${text}`
    }
    while (lengthWith(text) > length) text = text.replace(/^\S+\s*/, '')
    if (lengthWith(text) === length) return `${number}: ${text}`
  }
}

/**
 * The last `length` tokens of a chat that ends with a question after much other text: what follows is an ordinary
 * answer. Prompts of different indices begin differently.
 */
function promptTokens (encodeChat: EncodeChat, length: number, index: number): number[] {
  for (let text = promptOf(index), chat = index; ; chat++) {
    const tokens = encodeChat(text)
    if (tokens.length >= length) return tokens.slice(-length)
    text = `${chats[chat % chats.length]!.join('\n')}\n\n${text}`
  }
}

/** The task of one alternation. @param index of the alternation, over all scenarios */
export function taskOf (
  { candidates, promptTokens: length, newTokens }: Scenario, encodeChat: EncodeChat, index: number
): Task {
  return {
    warmUpPrompt: promptTokens(encodeChat, length, warmUpPrompts + index),
    warmUpTokens: Math.min(newTokens, warmUpTokens),
    prompt: promptTokens(encodeChat, length, index),
    candidates,
    newTokens
  }
}
