import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  asPairs, defaultPrompt, parseExamples, splitSamples, toSamples, type Examples
} from '../../../src/fitting/examples.js'

const lines = (...rows: unknown[]): string => rows.map(row => JSON.stringify(row)).join('\n')

test('pairs and labels are told apart by the first line, and other fields are left alone', () => {
  const messages = [{ role: 'user', content: 'Hi' }]
  assert.deepEqual(parseExamples(
    lines({ prompt: 'Hi', chosen: 'a', rejected: 'b', margin: 1 }, { messages, chosen: 'c', rejected: 'd' }) + '\n\n',
    'f'
  ),
  { kind: 'pairs', pairs: [{ messages, chosen: 'a', rejected: 'b' }, { messages, chosen: 'c', rejected: 'd' }] })
  assert.deepEqual(parseExamples(lines({ text: 'good', label: 1 }, { prompt: 'Hi', answer: 'bad', label: false }), 'f'),
    {
      kind: 'labels',
      labelled: [{ messages: [{ role: 'user', content: defaultPrompt }], answer: 'good', label: 1 },
        { messages, answer: 'bad', label: 0 }]
    })
})

test('a malformed line is refused with its number, field and value', () => {
  const pair = { prompt: 'Hi', chosen: 'a', rejected: 'b' }
  const refusals: Array<[string, RegExp]> = [
    ['', /^f: /],
    [lines(pair) + '\n{"prompt":', /^f:2: line must be JSON .*; got "{\\"prompt\\":"/],
    [lines(pair, [1]), /^f:2: line must be a JSON object; got \[1\]/],
    [lines(pair, { ...pair, rejected: 3 }), /^f:2: rejected .*; got 3/],
    [lines({ chosen: 'a', rejected: 'b' }), /^f:1: prompt .*; got nothing/],
    [lines({ ...pair, messages: [] }), /^f:1: prompt and messages /],
    [lines({ messages: [{ role: 'user' }], chosen: 'a', rejected: 'b' }),
      /^f:1: messages\[0\] .*; got {"role":"user"}/],
    [lines({ text: 'a', label: 2 }), /^f:1: label must be 0 or 1; got 2/],
    [lines({ text: '', label: 1 }), /^f:1: text .*; got ""/]
  ]
  for (const [text, message] of refusals) assert.throws(() => parseExamples(text, 'f'), { message })
})

/** Ten prompts with two pairs each; the rejected answer is shared. */
const pairs: Examples = {
  kind: 'pairs',
  pairs: Array.from({ length: 20 },
    (_, i) => ({ messages: [{ role: 'user', content: `p${i % 10}` }], chosen: `c${i}`, rejected: 'same' }))
}

test('equal answers to one prompt are one answer', () => {
  const { answers, samples } = toSamples(pairs)
  assert.equal(answers.length, 30)
  assert.equal(samples[0]!.against, samples[10]!.against)
  assert.equal(samples[0]!.group, samples[10]!.group)
})

test('a split holds out whole prompts, a fifth of them, the same each time', () => {
  const { train, test: held } = splitSamples(toSamples(pairs))
  const groups = new Set(held.samples.map(sample => sample.group))
  assert.equal(groups.size, 2)
  assert.equal(held.samples.length, 4)
  assert.ok(train.samples.every(sample => !groups.has(sample.group)))
  assert.deepEqual(splitSamples(toSamples(pairs)).test.samples, held.samples)
})

test('texts that share a prompt are split by text', () => {
  const { samples } = toSamples({
    kind: 'labels',
    labelled: ['a', 'b', 'a'].map(answer => ({ messages: [{ role: 'user', content: 'p' }], answer, label: 1 }))
  })
  assert.deepEqual(samples.map(sample => sample.group), ['answer 0', 'answer 1', 'answer 0'])
})

test('scores are read where there is no label, and must be numbers', () => {
  const messages = [{ role: 'user', content: 'Hi' }]
  assert.deepEqual(
    parseExamples(lines({ prompt: 'Hi', answer: 'a', score: 2.5 }, { prompt: 'Hi', text: 'b', score: -1 }), 'f'),
    { kind: 'scores', scored: [{ messages, answer: 'a', score: 2.5 }, { messages, answer: 'b', score: -1 }] }
  )
  assert.throws(() => parseExamples(lines({ prompt: 'Hi', answer: 'a', score: 'high' }), 'f'),
    /f:1: score must be a number; got "high"/)
  assert.equal(parseExamples(lines({ text: 'a', label: 1, score: 0.3 }), 'f').kind, 'labels')
})

test('scored answers make pairs within their prompt, better against worse, with eight partners at most', () => {
  const scored = (prompts: number, each: number) => asPairs(toSamples({
    kind: 'scores',
    scored: Array.from({ length: prompts * each }, (_, i) => ({
      messages: [{ role: 'user', content: `p${i % prompts}` }], answer: `a${i}`, score: Math.floor(i / prompts)
    }))
  }))
  const { kind, samples } = scored(10, 3)
  assert.equal(kind, 'pairs')
  assert.equal(samples.length, 10 * 3)
  assert.ok(samples.every(({ answer, against, label }) =>
    label === 1 && answer > against! && answer % 10 === against! % 10))
  assert.equal(scored(10, 20).samples.length, 10 * (12 * 8 + 7 * 8 / 2))
  assert.deepEqual(asPairs(scored(10, 3)), scored(10, 3))
})
