import assert from 'node:assert/strict'
import { test } from 'node:test'
import { effectiveSize, logMeanExp, offspring } from '../../../../src/decoding/strategies/particles.js'
import { randomStream } from '../../../../src/policies/random-stream.js'
import { softmaxWeights } from '../../../../src/decoding/selection/selection-rules.js'
import { oddities, oddity, run, textOf } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom, assertMean, tally } from '../../../helpers/statistics.js'
import { enumerate, ToyPolicy } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy({ size: 3, seed: 4 })
const maxTokens = 3
const strength = 0.6

/**
 * ln of what a target multiplies the policy by. With steps of one token every prefix is weighed, and an end token is a
 * step, too.
 */
const factors: Readonly<Record<string, (tokens: readonly number[]) => number>> = {
  twisted: tokens => strength * oddity(tokens),
  product: tokens => strength * (tokens.reduce((sum, _, index) => sum + oddity(tokens.slice(0, index + 1)), 0) +
    (tokens.length < maxTokens ? oddity(tokens) : 0))
}

for (const [weighting, factor] of Object.entries(factors)) {
  for (const [resampling, threshold] of [['systematic', 0.5], ['multinomial', 1]] as const) {
    test(`${weighting} weighting targets what it says, whatever the number of particles (${resampling}, threshold ` +
      `${threshold})`, async () => {
      // Ẑ · [the answer was drawn] estimates the unnormalised target without bias with any number of particles. Rare
      // answers are taken together.
      const answers = enumerate(policy, maxTokens)
        .map(({ tokens, probability }) => ({ answer: textOf(tokens), target: probability * Math.exp(factor(tokens)) }))
      const all = answers.reduce((sum, one) => sum + one.target, 0)
      const rare = new Set(answers.filter(one => one.target < 0.03 * all).map(one => one.answer))
      const name = (answer: string): string => rare.has(answer) ? 'rare' : answer
      const targets = tally(answers, one => name(one.answer), one => one.target)
      assert.ok(targets.size > 5 && new Set([...targets.keys()].map(answer => answer.length)).size > 2)
      const estimates = new Map([...targets.keys()].map(answer => [answer, [] as number[]]))
      for (let seed = 0; seed < 800; seed++) {
        const { result } = await run({
          strategy: 'particle_filter',
          num_particles: 3,
          step: { tokens: 1 },
          weighting,
          strength,
          resampling,
          ess_threshold: threshold
        }, { policy, scorer: oddities, seed, sampling: { maxTokens } })
        const evidence = Math.exp(result.details['log_z'] as number)
        for (const [answer, values] of estimates) values.push(name(result.choices[0]!.text) === answer ? evidence : 0)
      }
      for (const [answer, target] of targets) assertMean(estimates.get(answer)!, target, `γ(${JSON.stringify(answer)})`)
    })
  }
}

test('at strength 0 nothing is resampled, and answers are drawn from the policy', async () => {
  const drawn: string[] = []
  for (let seed = 0; seed < 800; seed++) {
    const { result } =
      await run({ strategy: 'particle_filter', num_particles: 4, step: { tokens: 1 }, strength: 0, ess_threshold: 1 },
        { policy, scorer: oddities, seed, sampling: { maxTokens } })
    assert.deepEqual({ ...result.details, log_z: undefined },
      { log_z: undefined, effective_particles: 4, unique_ancestors: 4, resamplings: 0 })
    assert.ok(Math.abs(result.details['log_z'] as number) < 1e-12)
    drawn.push(result.choices[0]!.text)
  }
  assertDrawnFrom(tally(enumerate(policy, maxTokens), one => textOf(one.tokens), one => one.probability), drawn,
    'policy')
})

test('offspring number as many as particles, each its weight’s share on average', () => {
  const weights = [0.5, 0, 0.3, 0.2]
  for (const method of ['systematic', 'multinomial'] as const) {
    const random = randomStream(3, method)
    const counts = Array.from({ length: 2000 }, () => offspring(weights, method, random))
    for (const one of counts) {
      assert.equal(one.reduce((sum, count) => sum + count, 0), 4)
      if (method === 'systematic') {
        for (const [index, count] of one.entries()) {
          assert.ok(count === Math.floor(4 * weights[index]!) || count === Math.ceil(4 * weights[index]!),
            `${one.join()}`)
        }
      }
    }
    for (const [index, weight] of weights.entries()) {
      assertMean(counts.map(one => one[index]!), 4 * weight, `${method}, particle ${index}`)
    }
  }
  assert.deepEqual(offspring([0, 1, 0], 'multinomial', randomStream(1, 'x')), [0, 3, 0])
  assert.deepEqual(offspring([0.1, 0.2, 0.7 - 1e-16], 'multinomial', { next: () => 1 - 2 ** -53 }), [0, 0, 3])
})

test('weights far apart are weighed without overflow', () => {
  assert.deepEqual(softmaxWeights([1000, 1000, -1000], 1), [0.5, 0.5, 0])
  assert.ok(Math.abs(logMeanExp([1000, 1000]) - 1000) < 1e-12)
  assert.equal(effectiveSize([0.25, 0.25, 0.25, 0.25]), 4)
  assert.equal(effectiveSize([1, 0]), 1)
})

test('particles that gather on one ancestor say so, and equal particles all count', async () => {
  const { result } =
    await run({ strategy: 'particle_filter', num_particles: 8, step: { tokens: 1 }, strength: 40, ess_threshold: 1 },
      { scorer: oddities, seed: 2, sampling: { maxTokens: 5 } })
  assert.ok((result.details['unique_ancestors'] as number) < 8)
  assert.ok((result.details['resamplings'] as number) > 0)
  assert.ok((result.details['effective_particles'] as number) >= 1)
})
