import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseExamples, readExamples } from '../../../src/fitting/examples.js'

const ask = { role: 'user', content: 'Is it dry?' }
const yes = { role: 'assistant', content: 'Yes.' }
const no = { role: 'assistant', content: 'No.' }
const read = (...rows: unknown[]) => parseExamples(rows.map(row => JSON.stringify(row)).join('\n'), 'f')
const pairs = { kind: 'pairs', pairs: [{ messages: [ask], chosen: 'Yes.', rejected: 'No.' }] }

test('pairs of TRL, UltraFeedback and HH-RLHF are read', () => {
  for (const row of [
    { prompt: [ask], chosen: [yes], rejected: [no] },
    { chosen: [ask, yes], rejected: [ask, no] },
    { prompt: 'Is it dry?', chosen: [yes], rejected: [no] },
    // UltraFeedback, binarised: the prompt is the first message, messages the chosen conversation.
    {
      prompt: 'Is it dry?',
      prompt_id: 'x',
      chosen: [ask, yes],
      rejected: [ask, no],
      messages: [ask, yes],
      score_chosen: 8,
      score_rejected: 2
    },
    { chosen: '\n\nHuman: Is it dry?\n\nAssistant: Yes.', rejected: '\n\nHuman: Is it dry?\n\nAssistant: No.' }
  ]) {
    assert.deepEqual(read(row), pairs)
    assert.deepEqual(readExamples([row], 'examples'), pairs)
  }
  const dialogue = (last: string): string => `\n\nHuman: Hi\n\nAssistant: Hello: hi!\n\nHuman: Is it dry?\n\nAssistant: ${last}`
  assert.deepEqual(read({ chosen: dialogue('Yes.'), rejected: dialogue('No.') }), {
    kind: 'pairs',
    pairs: [{
      messages: [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: 'Hello: hi!' }, ask],
      chosen: 'Yes.',
      rejected: 'No.'
    }]
  })
})

test('unpaired verdicts, rated completions, attributes and rankings are read', () => {
  const labelled = [{ messages: [ask], answer: 'Yes.', label: 1 }, { messages: [ask], answer: 'No.', label: 0 }]
  assert.deepEqual(read({ prompt: 'Is it dry?', completion: 'Yes.', label: true },
    { prompt: [ask], completion: [no], label: false }), { kind: 'labels', labelled })
  const scored = (one: number, other: number): object => ({
    kind: 'scores',
    scored: [{ messages: [ask], answer: 'Yes.', score: one }, { messages: [ask], answer: 'No.', score: other }]
  })
  assert.deepEqual(read({
    instruction: 'Is it dry?',
    completions: [{ response: 'Yes.', overall_score: 8.5 }, { response: 'No.', overall_score: 3 }]
  }), scored(8.5, 3))
  assert.deepEqual(read({ prompt: 'Is it dry?', response: 'Yes.', helpfulness: 4, verbosity: 1 },
    { prompt: 'Is it dry?', response: 'No.', helpfulness: 0 }), scored(4, 0))
  assert.deepEqual(read({
    prompt: '\n\nHuman: Is it dry?\n\nAssistant: ', answers: [{ answer: 'Yes.', rank: 1 }, { answer: 'No.', rank: 2 }]
  }), scored(-1, -2))
})

test('what is of no known form is refused with its line, what is wanted and what it has', () => {
  for (const [row, message] of [
    [{ question: 'a', answer: 'b' }, /^f:1: must be \{"prompt", "chosen", "rejected"\}.*TRL.*; got \["question","answer"\]/],
    [{ chosen: [ask, yes], rejected: [{ ...ask, content: 'Is it wet?' }, no] },
      /^f:1: chosen and rejected must be the same but for their last message/],
    [{ chosen: [ask], rejected: [ask] }, /^f:1: chosen must end in a message of the assistant/],
    [{ chosen: [yes], rejected: [no] }, /^f:1: chosen must hold what was asked/],
    [{ chosen: [ask, yes], rejected: 'No.' }, /^f:1: chosen and rejected must be of one form/],
    [{ instruction: 'a', completions: [{ response: 'b' }] }, /^f:1: score must be a number; got nothing/]
  ] as const) assert.throws(() => read(row), { message })
})
