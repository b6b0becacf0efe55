/** Particle Gibbs: passes with a retained particle leave the target as it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conditionalOffspring, offspring } from '../../../../src/decoding/strategies/particles.js'
import { randomStream } from '../../../../src/policies/random-stream.js'
import { oddities, oddity, run, textOf } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom, assertMean, tally } from '../../../helpers/statistics.js'
import { enumerate, ToyPolicy } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy({ size: 3, seed: 4 })
const maxTokens = 3
const strength = 1

const weighed = enumerate(policy, maxTokens).map(({ tokens, probability }) => ({
  answer: textOf(tokens), weight: probability * Math.exp(strength * oddity(tokens))
}))
const normalizer = weighed.reduce((sum, one) => sum + one.weight, 0)
const target = tally(weighed, one => one.answer, one => one.weight / normalizer)

async function draw (iterations: number, more: object): Promise<string[]> {
  const texts: string[] = []
  for (let seed = 0; seed < 600; seed++) {
    const { result } = await run({
      strategy: 'particle_filter', num_particles: 2, num_iterations: iterations, step: { tokens: 1 }, strength, ...more
    }, { policy, scorer: oddities, seed, sampling: { maxTokens } })
    texts.push(result.choices[0]!.text)
  }
  return texts
}

test('two particles alone miss the target', async () => {
  const drawn = await draw(1, {})
  assert.throws(() => { assertDrawnFrom(target, drawn, 'one pass') }, /χ²/)
})

for (const [resampling, threshold] of [['systematic', 0.8], ['systematic', 1], ['multinomial', 1]] as const) {
  test(`two particles reach the target in twelve passes (${resampling}, threshold ${threshold})`, async () => {
    assertDrawnFrom(target, await draw(12, { resampling, ess_threshold: threshold }), 'twelve passes')
  })
}

test('offspring given that the first particle lives are those of free resampling, weighed by how many it has', () => {
  for (const weights of [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [1 / 3, 1 / 3, 1 / 3], [0.45, 0, 0.05, 0.5]]) {
    for (const method of ['systematic', 'multinomial'] as const) {
      const [free, given] = [randomStream(5, 'free'), randomStream(6, 'given')]
      const conditional = Array.from({ length: 3000 }, () => conditionalOffspring(weights, method, given))
      for (const counts of conditional) {
        assert.ok(counts[0]! >= 1)
        assert.equal(counts.reduce((sum, count) => sum + count, 0), weights.length)
      }
      // Free resampling, each outcome as often as the first particle has children in it, makes the same mean; here by
      // exact weights.
      const unconditional = Array.from({ length: 60_000 }, () => offspring(weights, method, free))
      for (const index of weights.keys()) {
        const expected = unconditional.reduce((sum, counts) => sum + counts[0]! * counts[index]!, 0) /
          unconditional.reduce((sum, counts) => sum + counts[0]!, 0)
        const mean = conditional.reduce((sum, counts) => sum + counts[index]!, 0) / conditional.length
        assert.ok(Math.abs(mean - expected) < 0.05,
          `${method} of ${weights.join()}: particle ${index} has ${mean}, should have ${expected}`)
      }
    }
  }
  assert.deepEqual(conditionalOffspring([0, 1], 'systematic', randomStream(1, 'x')), [1, 1])
  assert.deepEqual(conditionalOffspring([0, 1, 0], 'multinomial', randomStream(1, 'x')), [1, 2, 0])
})

test('the retained answer is followed token by token, logprob and text, and what it takes is counted', async () => {
  // At this strength no other particle wins against the best answer there is, once it was found.
  const given = { policy, scorer: oddities, seed: 3, sampling: { maxTokens: 5, topLogprobs: 1 } }
  const { result, texts } = await run(
    { strategy: 'particle_filter', num_particles: 4, num_iterations: 6, step: { tokens: 1 }, strength: 200 }, given
  )
  assert.equal(texts[0], result.choices[0]!.text)
  const again = result.candidates.filter(one => one.text === result.choices[0]!.text && one.finishReason !== null)
  assert.ok(again.length > 1)
  for (const { logprob, score } of again) assert.deepEqual([logprob, score], [again[0]!.logprob, again[0]!.score])
  const apart = await run({ strategy: 'particle_filter', num_particles: 4, num_iterations: 3, ess_threshold: 0 }, given)
  assert.equal(apart.result.candidates.length, 12)
  assert.equal(apart.result.generatedTokens, apart.result.candidates.reduce((sum, one) => sum + one.tokens, 0))
})

test('a budget that ends within a later pass returns the answer that was retained, whole', async () => {
  let cut = 0
  for (let seed = 0; seed < 20; seed++) {
    const given = { policy, scorer: oddities, seed, sampling: { maxTokens: 6, ignoreEos: true } }
    const alignment = { strategy: 'particle_filter', num_particles: 3, num_iterations: 3, step: { tokens: 1 } }
    const { result, texts } = await run(alignment, { ...given, limits: { maxGeneratedTokens: 3 * 6 * 2 + 5 } })
    const two = await run({ ...alignment, num_iterations: 2 }, given)
    assert.equal(result.stoppedBy, 'max_generated_tokens')
    assert.equal(result.choices[0]!.text, two.result.choices[0]!.text)
    assert.equal(texts[0], result.choices[0]!.text)
    if (result.choices[0]!.text.length === 6) cut++
  }
  assert.equal(cut, 20)
})

test('passes are told apart: how often the answer changed, and log Ẑ of the first, which has no retained ' +
  'particle', async () => {
  const once =
    await run({ strategy: 'particle_filter', num_particles: 3, step: { tokens: 1 } }, { scorer: oddities, seed: 2 })
  const thrice = await run({ strategy: 'particle_filter', num_particles: 3, num_iterations: 3, step: { tokens: 1 } },
    { scorer: oddities, seed: 2 })
  assert.equal(thrice.result.details['log_z'], once.result.details['log_z'])
  assert.equal(once.result.details['moves'], undefined)
  const moves: number[] = []
  for (let seed = 0; seed < 50; seed++) {
    moves.push((await run(
      { strategy: 'particle_filter', num_particles: 2, num_iterations: 2, step: { tokens: 1 }, strength: 0 },
      { scorer: oddities, seed }
    )).result.details['moves'] as number)
  }
  // Of two particles of equal weight either is drawn.
  assertMean(moves, 0.5, 'moves')
})
