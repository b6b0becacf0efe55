import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headScorer, headSource, type Head } from '../../../../src/rewards/kinds/head.js'
import { encodeFloats } from '../../../../src/rewards/kinds/q-head.js'
import { oneAnswer } from '../../../helpers/resolve-alone.js'
import { toyAnswer, toyPolicy, ToyStates } from '../../../helpers/toy-states.js'

// The toy's state of token t at layer 2 is [t, 2, 1]: these weights read t + 0.5.
const head: Head = {
  kind: 'head',
  layer: 2,
  pooling: 'mean',
  weights: [1, 10, 0.25],
  bias: -19.75,
  members: {
    outcome: { normalization: { mean: 7, std: 2, pool: 'p' } },
    prefix: { normalization: { mean: 5, std: 2, pool: 'p' } }
  },
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

test('an end-token head reads whole answers after the end token, on a fork that is closed, and counts ' +
  'the token', async () => {
  const source = new ToyStates()
  const answer = await toyAnswer([1, 2], { source })
  const ledger = { rewardTokens: 0 }
  assert.equal(await headScorer({ ...head, pooling: 'last' }, 'outcome', endToken, ledger)(answer), 30.5)
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

// What a token adds on the toy, t + 0.5 for token t, is linear in its embedding [t, 0, 1]: one term is exact. A second
// one reads the state [last, 2, 1].
const exact = {
  layer: 3,
  rank: 2,
  state: encodeFloats(Float32Array.of(0, 0, 0, 1, 1, 0, 0, 0)),
  token: encodeFloats(Float32Array.of(1, 0, 0, 0.5, 0, 0, 0, 0)),
  fit: { prompts: 1, positions: 1, values: 2, regularization: 0 },
  metrics: { rankCorrelation: 1, standardError: 0, candidates: 2, positions: 1, prompts: 1, split: 's' }
}
const context = () => ({
  name: 'toy',
  policy: toyPolicy(),
  ledger: { rewardTokens: 0 },
  request: oneAnswer,
  direction: 1 as const,
  warn: () => {}
})

test('a Q-head that foretells rightly says what the prefix head scores once a token is read, and ' +
  'runs nothing', async () => {
  const scorer = headSource({ ...head, nextToken: exact }).openNextToken!(context())
  assert.deepEqual(scorer.layers, [2, 3])
  assert.deepEqual(scorer.normalization, head.members.prefix!.normalization)
  for (const tokens of [[], [5], [1, 2, 6]]) {
    const source = new ToyStates()
    const answer = await toyAnswer(tokens, { source, final: false })
    const { forks, outputs } = source.counts
    const foretold = scorer.scoreNext(answer, [4, 8])
    assert.deepEqual([source.counts.forks, source.counts.outputs], [forks, outputs])
    for (const [index, token] of [4, 8].entries()) {
      const [read] = await scorer.score({ messages: [], text: '', tokens: [9] },
        [await toyAnswer([...tokens, token], { final: false })])
      assert.ok(Math.abs(foretold[index]! - read!.raw) < 1e-6,
        `${tokens.join()} ${token}: ${foretold[index]}, read ${read!.raw}`)
    }
  }
})

test('the terms of a Q-head are products of what state and token make', async () => {
  const bilinear = { ...exact, token: encodeFloats(Float32Array.of(1, 0, 0, 0.5, 2, 0, 0, -1)) }
  const scorer = headSource({ ...head, nextToken: bilinear }).openNextToken!(context())
  // After token 6 of [2, 6], V = 4.5 over two tokens; token 3 adds 3.5 + 6 · (2 · 3 − 1).
  assert.deepEqual(scorer.scoreNext(await toyAnswer([2, 6], { final: false }), [3]), [(9 + 3.5 + 30) / 3])
})

test('a Q-head of the wrong size, with numbers that are none, or on a head that cannot have one is refused', () => {
  const of = (fields: object, more: object = {}) => () =>
    headSource({ ...head, ...more, nextToken: { ...exact, ...fields } })
  assert.throws(of({ state: exact.state.slice(8) }), /nextToken\.state .* 8 float32 numbers .* got \d+ bytes/)
  assert.throws(of({ rank: 3 }), /nextToken\.state .* 12 float32 numbers/)
  assert.throws(of({ token: encodeFloats(new Float32Array(8).fill(NaN)) }), /nextToken\.token .*finite/)
  assert.throws(of({}, { pooling: 'last' }), /nextToken .*"mean"/)
  assert.throws(of({}, { members: { outcome: head.members.outcome } }),
    /nextToken .*"mean"/)
  assert.equal(headSource(head).openNextToken, undefined)
})
