import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headScorer, type Head } from '../../src/rewards/head.js'
import { toyAnswer, ToyStates } from '../helpers/toy-states.js'

// The toy's state of token t at layer 2 is [t, 2, 1]: these weights read t + 0.5.
const head: Head = {
  kind: 'head',
  layer: 2,
  pooling: 'mean',
  weights: [1, 10, 0.25],
  bias: -19.75,
  members: { outcome: { normalization: { mean: 7, std: 2, pool: 'p' } }, prefix: { normalization: { mean: 5, std: 2, pool: 'p' } } },
  policy: { id: 'toy', weightsSha256: '0'.repeat(64), format: 'f32' }
}
const endToken = 30

test('a mean-pooled head reads the running mean and runs nothing', async () => {
  const source = new ToyStates()
  const answers = [await toyAnswer([1, 2, 6], { source }), await toyAnswer([4], { source, final: false })]
  const { forks, outputs } = source.counts
  const ledger = { rewardTokens: 0 }
  assert.deepEqual(answers.map(headScorer(head, 'outcome', endToken, ledger)), [3.5, 4.5])
  assert.deepEqual([source.counts.forks, source.counts.outputs, ledger.rewardTokens], [forks, outputs, 0])
})

test('an end-token head reads whole answers after the end token, on a fork that is closed, and counts the token', async () => {
  const source = new ToyStates()
  const answer = await toyAnswer([1, 2], { source })
  const ledger = { rewardTokens: 0 }
  assert.equal(await headScorer({ ...head, pooling: 'last' }, 'outcome', endToken, ledger)(answer), 30.5)
  assert.deepEqual(answer.sequence.tokens, [9, 1, 2])
  assert.equal(ledger.rewardTokens, 1)
  assert.deepEqual([source.counts.forks, source.counts.closed], [1, 1])
})

test('only the prefix member of an end-token head reads a raw token, and only of an unfinished answer', async () => {
  const last = { ...head, pooling: 'last' as const }
  const ledger = { rewardTokens: 0 }
  const prefix = await toyAnswer([1, 2], { final: false })
  assert.equal(await headScorer(last, 'prefix', endToken, ledger)(prefix), 2.5)
  assert.equal(ledger.rewardTokens, 0)
  assert.equal(await headScorer(last, 'outcome', endToken, ledger)(prefix), 30.5)
  assert.equal(await headScorer(last, 'prefix', endToken, ledger)(await toyAnswer([1, 2])), 30.5)
})

test('an answer of zero tokens scores the member’s reference mean', async () => {
  const ledger = { rewardTokens: 0 }
  const empty = await toyAnswer([])
  assert.equal(await headScorer(head, 'outcome', endToken, ledger)(empty), 7)
  assert.equal(await headScorer({ ...head, pooling: 'last' }, 'prefix', endToken, ledger)(empty), 5)
})
