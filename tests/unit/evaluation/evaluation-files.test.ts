import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadPrompts, promptSetNames } from '../../../src/evaluation/prompt-sets.js'
import { flipped, noisyPairs } from '../../../src/evaluation/over-optimisation.js'
import { Records } from '../../../src/evaluation/records.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-evaluation-'))
after(() => { rmSync(folder, { recursive: true }) })

test('records are kept, a line that was cut short is dropped, other conditions are refused by name', () => {
  const file = join(folder, 'records.jsonl')
  Records.open<{ a: number }>(file, { model: 'm', maxTokens: 8 }).append({ a: 1 })
  appendFileSync(file, '{"a": 2')
  const again = Records.open<{ a: number }>(file, { model: 'm', maxTokens: 8 })
  assert.deepEqual(again.rows, [{ a: 1 }])
  again.append({ a: 3 })
  assert.deepEqual(Records.open(file, { model: 'm', maxTokens: 8 }).rows, [{ a: 1 }, { a: 3 }])
  assert.throws(() => Records.open(file, { model: 'm', maxTokens: 16 }), /another maxTokens: 8, now 16/)
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 4)
})

test('prompt sets in the box have 200 prompts; files are read in three forms and refused by entry', () => {
  for (const name of promptSetNames) assert.equal(loadPrompts(name).length, 200, name)
  const file = join(folder, 'prompts')
  for (const text of ['["a", "b"]', '"a"\n\n"b"\n', '{"prompt": "a", "id": 1}\n{"prompt": "b"}']) {
    writeFileSync(file, text)
    assert.deepEqual(loadPrompts(file), ['a', 'b'])
  }
  writeFileSync(file, '"a"\n{"question": "b"}')
  assert.throws(() => loadPrompts(file), /prompts:2 must be a prompt.*got.*question/)
  writeFileSync(file, '"a"\n"a"')
  assert.throws(() => loadPrompts(file), /each prompt once; got "a"/)
  assert.throws(() => loadPrompts('reviewz'),
    /--prompts must be one of instructions, reviews, or a file; got "reviewz"/)
})

test('pairs for small fits follow the judge, but for a quarter', () => {
  const answers = [0, 1, 2, 3].map(index => ({ text: `answer ${index}`, tokens: 2, logprob: -1 }))
  const draws = Array.from({ length: 500 }, (_, index) => ({
    prompt: String(index),
    seed: 0,
    answers,
    generatedTokens: 8,
    forwardPasses: 2,
    kl: { value: null, kind: null },
    ms: 1
  }))
  const pairs = noisyPairs(draws, draws.map(() => [1, 0, 5, 5]))
  // Equal scores make no pair.
  assert.equal(pairs.length, 500)
  const wrong = pairs.filter(({ chosen }) => chosen === 'answer 1').length
  assert.ok(Math.abs(wrong / 500 - flipped) < 0.06)
})
