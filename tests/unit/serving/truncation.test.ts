/** Which messages of a long conversation are left out, and how much is tokenised to find out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tokensOf, type PromptModel } from '../../../src/serving/prompt-reader.js'
import type { ChatPrompt } from '../../../src/serving/protocol.js'
import { truncated } from '../../../src/serving/truncation.js'
import { tinyModel as model } from '../../helpers/tiny-model.js'

const { tokenizer } = model

/** A conversation behind a system message, of messages of so many characters. */
const chatOf = (...lengths: readonly number[]): ChatPrompt => ({
  messages: [{ role: 'system', content: 'in' }, ...lengths.map((length, index) =>
    ({ role: index % 2 === 0 ? 'user' as const : 'assistant' as const, content: 'x'.repeat(length) }))],
  addGenerationPrompt: true,
  continueFinalMessage: false,
  truncate: true
})

/** The same by trying every number of messages. */
function expected (chat: ChatPrompt, room: number): number {
  const [system, ...rest] = chat.messages
  for (let dropped = 0; dropped < rest.length; dropped++) {
    const messages = [system!, ...rest.slice(dropped)]
    if (tokensOf(model, { ...chat, messages }).length <= room) return dropped
  }
  return rest.length - 1
}

test('as few of the oldest messages go as leave room for the answer, whatever their sizes', () => {
  const random = (seed: number) => (): number => { seed = (seed * 1103515245 + 12345) % 2 ** 31; return seed / 2 ** 31 }
  const next = random(7)
  for (let round = 0; round < 60; round++) {
    const lengths = Array.from({ length: 1 + Math.floor(next() * 40) }, () => Math.floor(next() ** 3 * 400))
    const chat = chatOf(...lengths)
    const maxTokens = 1 + Math.floor(next() * 300)
    const kept = truncated(model, chat, maxTokens)
    assert.equal(chat.messages.length - kept.messages.length, expected(chat, 511 - maxTokens), lengths.join())
    assert.deepEqual(kept.messages[0], chat.messages[0])
    assert.deepEqual(kept.messages.at(-1), chat.messages.at(-1))
  }
})

test('texts are tokenised once, and those not at all that no context has room for', () => {
  let tokenised = 0
  const count = (text: string): void => { tokenised += text.length }
  const counting: PromptModel = {
    ...model,
    tokenizer: {
      ...tokenizer,
      encode (text) { count(text); return tokenizer.encode(text) },
      encodeTemplate (pieces) { for (const { text } of pieces) count(text); return tokenizer.encodeTemplate(pieces) }
    }
  }
  const kept = truncated(counting, chatOf(1_000_000, ...Array.from({ length: 400 }, () => 100), 5), 100)
  assert.equal(kept.messages.length, 5)
  // The newest messages, alone and together, twice or so.
  assert.ok(tokenised < 4 * 512, `${tokenised} characters`)
})
