import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roundSize } from '../../../../src/decoding/strategies/early-exit.js'
import type { Scorer } from '../../../../src/rewards/scorer.js'
import { run } from '../../../helpers/run-strategy.js'
import { toyScorer } from '../../../helpers/toy-policy.js'

const sampling = { maxTokens: 12 }
const alignment = (fields: object) => ({
  strategy: 'best_of_n',
  num_candidates: 9,
  return_candidates: true,
  stop_when: { min_reward: 1, every: 3, eager: true, ...fields }
})

/** 1 for answers without the letter c, which an answer that has one can no longer get. */
const withoutC: Scorer = {
  ...toyScorer((_tokens, { text }) => text.includes('c') ? 0 : 1), ceiling: text => text.includes('c') ? 0 : 1
}
const never: Scorer = { ...toyScorer(() => 0), ceiling: () => 0 }

test('an answer that can no longer have the reward is dropped where it is; what is returned has it, and ' +
  'is whole', async () => {
  let dropped = 0
  for (let seed = 0; seed < 20; seed++) {
    const { result, policy } = await run(alignment({}), { scorer: withoutC, sampling, seed })
    const { result: all } =
      await run({ strategy: 'best_of_n', num_candidates: 9 }, { scorer: withoutC, sampling, seed })
    for (const { index, text, prunedAt, tokens } of result.candidates) {
      // As far as it went it is the answer that it would have been.
      assert.ok(all.candidates[index]!.text.startsWith(text))
      if (prunedAt === null) continue
      dropped++
      assert.equal(prunedAt, tokens)
      // The first goes on, until another has it.
      if (index > 0 && text.includes('c')) assert.equal(text.indexOf('c'), text.length - 1)
    }
    const [choice] = result.choices
    assert.equal(choice!.text, all.candidates[choice!.candidateIndex]!.text)
    assert.equal(choice!.score!.value, Math.max(...all.candidates.map(one => one.score!.value)))
    assert.ok(result.generatedTokens <= all.generatedTokens)
    assert.equal(policy.open, 0)
  }
  assert.ok(dropped > 20, String(dropped))
})

test('the first to have the reward ends the others of its round, and no round follows', async () => {
  const ends: Scorer = toyScorer(() => 1)
  let shorter = 0
  for (let seed = 0; seed < 10; seed++) {
    const { result } = await run(alignment({}), { scorer: ends, sampling, seed })
    assert.equal(result.candidates.length, 3)
    const [choice] = result.choices
    for (const { prunedAt, tokens } of result.candidates) {
      if (prunedAt !== null) { shorter++; assert.ok(tokens >= choice!.completionTokens) }
    }
  }
  assert.ok(shorter > 0)
})

test('where none has it the first answer, which is always whole, is returned', async () => {
  const { result } = await run(alignment({}), { scorer: never, sampling })
  assert.equal(result.choices[0]!.candidateIndex, 0)
  assert.deepEqual(result.candidates.map(({ prunedAt }) => prunedAt), [null, 1, 1, 1, 1, 1, 1, 1, 1])
})

test('rounds grow to half of what was drawn in vain', () => {
  assert.deepEqual([0, 4, 8, 12, 18, 27].map(drawn => roundSize(4, drawn)), [4, 4, 4, 6, 9, 14])
})
