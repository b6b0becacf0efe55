import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drawing, drawPositions, type Position } from '../../../../src/fitting/draw-positions.js'
import { fitQHead } from '../../../../src/fitting/fit-q-head.js'
import { fitForm } from '../../../../src/fitting/fit-token-form.js'
import type { Head } from '../../../../src/rewards/kinds/head.js'
import { rankCorrelation } from '../../../../src/statistics/metrics.js'
import { uniform } from '../../../../src/statistics/random.js'
import { TokenForm } from '../../../../src/rewards/kinds/q-head.js'
import { toyPolicy, ToyStates } from '../../../helpers/toy-states.js'

const width = 5
const random = uniform(3)
const vector = (): Float32Array => Float32Array.from({ length: width }, () => 4 * random() - 2)
const embeddings = Array.from({ length: 40 }, vector)
const [left, right, linear] = [vector(), vector(), vector()]
const times = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, index) => sum + value * b[index]!, 0)
/** What a token adds: a product of what state and token make, and something of each. */
const truth = (state: Float32Array, token: number): number =>
  3 + times(left, state) * times(right, embeddings[token]!) + times(linear, embeddings[token]!) - 2 * state[0]!

function positions (count: number): Position[] {
  return Array.from({ length: count }, (_, prompt) => {
    const state = vector()
    const tokens = Array.from({ length: 8 }, () => Math.floor(40 * random()))
    return { prompt, state, tokens, added: tokens.map(token => truth(state, token)) }
  })
}

test('a form that is bilinear is found from examples, and foretells positions it has not seen', () => {
  const form = new TokenForm(fitForm({ positions: positions(400), embeddings: new Map(embeddings.entries()) }), width)
  for (const { state, tokens, added } of positions(50)) {
    const foretold = form.contributions(state, tokens, token => embeddings[token]!)
    assert.ok(rankCorrelation(foretold, added) > 0.8, `${foretold.join()} ${added.join()}`)
    for (const [index, value] of added.entries()) {
      assert.ok(Math.abs(foretold[index]! - value) < 1 + 0.25 * Math.abs(value), `${foretold[index]}, not ${value}`)
    }
  }
})

test('rank correlation is Spearman’s, ties sharing their ranks', () => {
  assert.ok(Math.abs(rankCorrelation([1, 2, 3], [10, 20, 30]) - 1) < 1e-12)
  assert.ok(Math.abs(rankCorrelation([1, 2, 3], [3, 2, 1]) + 1) < 1e-12)
  assert.equal(rankCorrelation([1, 1, 1], [1, 2, 3]), 0)
  // Ranks 0.5, 0.5, 2 and 0, 1, 2.
  assert.ok(Math.abs(rankCorrelation([5, 5, 9], [1, 2, 3]) - 1.5 / Math.sqrt(1.5 * 2)) < 1e-12)
})

const head: Head = {
  kind: 'head',
  layer: 2,
  pooling: 'mean',
  weights: [1, 0, 0],
  bias: 0.5,
  members: { prefix: { normalization: { mean: 1, std: 1, pool: 'p' } } },
  policy: { id: 'toy', weightsSha256: '0'.repeat(64), format: 'f32' }
}
const prompts = Array.from({ length: 10 }, (_, index) => [{ role: 'user', content: String(index) }])

test('positions are of the policy’s own answers, with what reading each likely token adds; every fork ' +
  'is closed', async () => {
  const source = new ToyStates()
  const policy = toyPolicy(source)
  const drawn = await drawPositions(policy, head, prompts, { layer: 3, answersPerPrompt: 2 })
  assert.ok(drawn.length > 10)
  for (const { tokens, added, state } of drawn) {
    // The toy's tokens 1, 2, 3 in order of their probability; 0 ends an answer.
    assert.deepEqual([tokens, added, state[1]], [[1, 2, 3], [1.5, 2.5, 3.5], 3])
  }
  assert.deepEqual(drawn.map(one => one.prompt), [...drawn.map(one => one.prompt)].sort((a, b) => a - b))
  assert.equal(source.counts.opened, source.counts.closed)
  assert.deepEqual(await drawPositions(toyPolicy(), head, prompts, { layer: 3, answersPerPrompt: 2 }), drawn)
})

test('a Q-head is fitted with its rank correlation on held-out prompts; heads and prompts that cannot do ' +
  'are refused', async () => {
  const said: number[] = []
  const qHead = await fitQHead({
    policy: toyPolicy(), head, prompts, answersPerPrompt: 3, onProgress: (done, total) => { said.push(done / total) }
  })
  assert.ok(qHead.metrics.rankCorrelation > 0.9999)
  assert.deepEqual([qHead.fit.prompts, qHead.metrics.prompts, qHead.metrics.split, qHead.metrics.candidates],
    [8, 2, 'a fifth of the prompts', drawing.candidates])
  assert.equal(said.at(-1), 1)
  const [low, high] =
    new TokenForm(qHead, 3).contributions(Float32Array.of(2, 2, 1), [1, 3], token => toyPolicy().embedding(token))
  assert.ok(Math.abs(high! - low! - 2) < 0.2)
  await assert.rejects(
    fitQHead({ policy: toyPolicy(), head: { ...head, pooling: 'last' }, prompts, answersPerPrompt: 1 }),
    /pooling mean/
  )
  await assert.rejects(fitQHead({ policy: toyPolicy(), head, prompts: prompts.slice(0, 9), answersPerPrompt: 1 }),
    /at least 10 prompts .*; got 9/)
  const stopping = new AbortController()
  await assert.rejects(fitQHead({
    policy: toyPolicy(),
    head,
    prompts,
    answersPerPrompt: 1,
    signal: stopping.signal,
    onProgress: () => { stopping.abort(new Error('enough')) }
  }), /enough/)
})
