import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guide, guideWithin, stepKl, transforms } from '../../src/decoding/token-guidance.js'
import { enumerate, ToyPolicy, toyPrompt } from '../helpers/toy-policy.js'

const policy = new ToyPolicy({ size: 3, seed: 8 })
const length = 3
const strength = 1.3
const reward = (tokens: readonly number[]): number => tokens.reduce((sum, token, index) => sum + (token === 1 ? 1 : -0.4) * (index + 1), 0)

/** Every answer that begins so, with its probability given that beginning. */
const endings = (tokens: readonly number[]): ReturnType<typeof enumerate> => enumerate(policy, length, tokens, 1)

/** The probability of an answer when each token is drawn with guidance by a value of prefixes. An answer that ended is its own value. */
function guidedProbability (answer: readonly number[], ended: boolean, value: (tokens: readonly number[], final: boolean) => number): number {
  let probability = 1
  for (let position = 0; position < answer.length + (ended ? 1 : 0); position++) {
    const prefix = answer.slice(0, position)
    const ranked = Array.from({ length: policy.size }, (_, token) => ({ token, logProbability: policy.logProbability([...toyPrompt.tokens, ...prefix], token) }))
    const values = ranked.map(({ token }) => token === policy.endToken ? value(prefix, true) : value([...prefix, token], position + 1 === length))
    const token = position < answer.length ? answer[position]! : policy.endToken
    probability *= Math.exp(guide(ranked, values, strength)[token]!.logProbability)
  }
  return probability
}

test('guidance by the exact soft value draws from policy · exp(strength · reward); by the mean reward it does not', () => {
  const soft = (tokens: readonly number[], final: boolean): number => final ? reward(tokens) : Math.log(endings(tokens).reduce((sum, one) => sum + one.probability * Math.exp(strength * reward(one.tokens)), 0)) / strength
  const mean = (tokens: readonly number[], final: boolean): number => final ? reward(tokens) : endings(tokens).reduce((sum, one) => sum + one.probability * reward(one.tokens), 0)
  const answers = enumerate(policy, length)
  const normalizer = answers.reduce((sum, one) => sum + one.probability * Math.exp(strength * reward(one.tokens)), 0)
  let worstOfMean = 0
  for (const { tokens, probability } of answers) {
    const target = probability * Math.exp(strength * reward(tokens)) / normalizer
    const ended = tokens.length < length
    assert.ok(Math.abs(guidedProbability(tokens, ended, soft) - target) < 1e-6)
    worstOfMean = Math.max(worstOfMean, Math.abs(guidedProbability(tokens, ended, mean) - target))
  }
  assert.ok(worstOfMean > 1e-3)
})

const ranked = [0.5, 0.3, 0.2].map((probability, token) => ({ token, logProbability: Math.log(probability) }))

test('strength 0 is the policy, and its KL is nothing', () => {
  for (const [index, { logProbability }] of guide(ranked, [1, 2, 3], 0).entries()) assert.ok(Math.abs(logProbability - ranked[index]!.logProbability) < 1e-12)
  assert.ok(Math.abs(stepKl(guide(ranked, [1, 2, 3], 0), ranked)) < 1e-12)
})

test('the KL of a step is Σ π′ ln(π′/π)', () => {
  const guided = guide(ranked, [0, Math.log(2), 0], 1)
  // Weights .5, .6, .2 over 1.3.
  const expected = 0.5 / 1.3 * Math.log(1 / 1.3) + 0.6 / 1.3 * Math.log(2 / 1.3) + 0.2 / 1.3 * Math.log(1 / 1.3)
  assert.ok(Math.abs(stepKl(guided, ranked) - expected) < 1e-12)
})

test('a budget of KL scales the strength down to what is left, and ends guidance that cannot be paid', () => {
  const values = [0, 0, 10]
  const within = guideWithin(ranked, values, 3, 0.1)!
  assert.ok(Math.abs(stepKl(within, ranked) - 0.1) < 1e-6)
  assert.deepEqual(guideWithin(ranked, values, 3, 10), guide(ranked, values, 3))
  // Looking at two of three tokens alone costs −ln 0.8.
  assert.equal(guideWithin(ranked.slice(0, 2), [0, 1], 1, 0.2), null)
})

test('transforms are what their names say', () => {
  assert.deepEqual(transforms.centered([1, 2, 6]), [-2, -1, 3])
  assert.deepEqual(transforms.minmax([1, 2, 5]), [0, 0.25, 1])
  assert.deepEqual(transforms.minmax([2, 2]), [0, 0])
  assert.deepEqual(transforms.clip01([-1, 0.5, 3]), [0, 0.5, 1])
  assert.deepEqual(transforms.identity([1, 2]), [1, 2])
  const [low, middle, high] = transforms.log_sigmoid([-800, 0, 800]) as [number, number, number]
  assert.equal(low, -800)
  assert.ok(Math.abs(middle + Math.LN2) < 1e-12)
  assert.equal(high, -0)
})
