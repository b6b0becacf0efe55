import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LegacyLogprobsWriter } from '../../../../src/api/completions/legacy-logprobs.js'

const rated = (
  token: number, text: string | readonly number[], logprob: number
) => ({ token, bytes: typeof text === 'string' ? [...Buffer.from(text)] : text, logprob })

test('offsets are in code points', () => {
  const tokens = [[0xf0, 0x9f, 0x99], [0x82], [0xf0, 0x9f, 0x99], [0x82], ' a', ' b', '!'].map((text, token) =>
    ({ ...rated(token, text as string | number[], -1), top: [] }))
  assert.deepEqual(new LegacyLogprobsWriter(0).next(tokens).text_offset, [0, 0, 1, 1, 2, 4, 6])
})

test('tokens, alternatives and offsets; a character cut in two counts where it is whole', () => {
  const writer = new LegacyLogprobsWriter(5)
  const { tokens, token_logprobs: logprobs, top_logprobs: top, text_offset: offsets } = writer.next([
    { ...rated(1, 'a', -1), top: [rated(2, 'b', -0.5)] },
    { ...rated(3, [0xc3], -2), top: [rated(3, [0xc3], -2)] },
    { ...rated(4, [0xa9], -3), top: [] }
  ])
  assert.deepEqual(tokens, ['a', 'bytes:\\xc3', 'bytes:\\xa9'])
  assert.deepEqual(logprobs, [-1, -2, -3])
  assert.deepEqual(top, [{ a: -1, b: -0.5 }, { 'bytes:\\xc3': -2 }, { 'bytes:\\xa9': -3 }])
  assert.deepEqual(offsets, [5, 6, 6])
  assert.deepEqual(writer.next([{ ...rated(1, 'a', -1), top: [] }]).text_offset, [7])
})
