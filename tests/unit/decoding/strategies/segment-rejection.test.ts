import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entropy } from '../../../../src/policies/sampling-distribution.js'
import { threshold } from '../../../../src/decoding/strategies/segment-rejection.js'
import { indifferent, oddities, oddity, run, textOf, tokensOf } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom, tally } from '../../../helpers/statistics.js'
import { distributionOf, enumerate, ToyPolicy, toyPrompt, toyScorer } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy({ size: 3, seed: 4 })
const maxTokens = 2
const strength = 1.1
const target = 1.5
const mix = 0.25

/** The exact distribution with two tries of one-token segments. */
function expected (tokens: readonly number[] = [], probability = 1): Array<readonly [string, number]> {
  const segments = Array.from({ length: policy.size }, (_, token) => {
    const ends = token === policy.endToken
    const grown = ends ? tokens : [...tokens, token]
    // The end token counts as drawn.
    const bound = threshold(mix * target, target, tokens.length + 1, maxTokens)
    return {
      key: JSON.stringify([grown, ends || grown.length === maxTokens]),
      reward: oddity(grown),
      p: Math.exp(policy.logProbability([...toyPrompt.tokens, ...tokens], token)),
      accept: Math.min(1, Math.exp(strength * (oddity(grown) - bound)))
    }
  })
  const outcomes = segments.flatMap(one => [
    { key: one.key, p: one.p * one.accept },
    ...segments.flatMap(other => [
      { key: other.key, p: one.p * (1 - one.accept) * other.p * other.accept },
      {
        key: other.reward > one.reward ? other.key : one.key, p: one.p * (1 - one.accept) * other.p * (1 - other.accept)
      }
    ])
  ])
  return [...tally(outcomes, one => one.key, one => one.p)].flatMap(([key, p]) => {
    const [grown, ended] = JSON.parse(key) as [number[], boolean]
    return ended ? [[textOf(grown), probability * p] as const] : expected(grown, probability * p)
  })
}

const alignment = {
  strategy: 'segment_rejection',
  segment: { tokens: 1 },
  strength,
  target_reward: target,
  threshold_mix: mix,
  max_tries: 2
}

test('segments are drawn with the exact chances of two tries', async () => {
  const drawn: string[] = []
  for (let seed = 0; seed < 1200; seed++) {
    drawn.push((await run(alignment,
      { policy, scorer: oddities, seed, sampling: { maxTokens } })).result.choices[0]!.text)
  }
  assertDrawnFrom(tally(expected(), ([answer]) => answer, ([, p]) => p), drawn, 'segments')
})

test('a constant reward leaves the policy as it is, however often segments are drawn anew', async () => {
  const drawn: string[] = []
  let tries = 0
  for (let seed = 0; seed < 800; seed++) {
    const { result } =
      await run({ ...alignment, max_tries: 4 }, { policy, scorer: indifferent, seed, sampling: { maxTokens } })
    drawn.push(result.choices[0]!.text)
    tries += (result.details['tries'] as number) - (result.details['segments'] as number)
  }
  assert.ok(tries > 250)
  assertDrawnFrom(tally(enumerate(policy, maxTokens), one => textOf(one.tokens), one => one.probability), drawn,
    'policy')
})

test('the threshold rises in a line to its target, and never beyond', () => {
  assert.deepEqual([0, 5, 10, 20].map(length => threshold(-1, 1, length, 10)), [-1, 0, 1, 1])
  assert.equal(threshold(3, 1, 5, 10), 1)
})

test('a segment by entropy ends before an uncertain token, after 4 tokens at least and 64 at most', async () => {
  const toy = new ToyPolicy({ size: 4, seed: 5 })
  const bound = 1.2
  const uncertain = (tokens: readonly number[]): boolean =>
    entropy(distributionOf(toy.logits([...toyPrompt.tokens, ...tokens]))) >= bound
  const ends: number[] = []
  const scorer =
    toyScorer((tokens, answer) => { if (!answer.final && tokens.length > 0) ends.push(tokens.length); return 0 })
  const { result } =
    await run({ strategy: 'segment_rejection', segment: { entropy: bound }, strength: 0, target_reward: 0 },
      { policy: toy, scorer, seed: 1, sampling: { maxTokens: 80, ignoreEos: true } })
  const tokens = tokensOf(result.choices[0]!.text)
  const expectedEnds: number[] = []
  for (let at = 1, from = 0; at < tokens.length; at++) {
    if (at - from < 4 || (!uncertain(tokens.slice(0, at)) && at - from < 64)) continue
    expectedEnds.push(at)
    from = at
  }
  assert.deepEqual(ends, expectedEnds)
  assert.ok(ends.length > 3)
  const certain = await run({ strategy: 'segment_rejection', segment: { entropy: 5 }, target_reward: 0 },
    { scorer: indifferent, sampling: { maxTokens: 130, ignoreEos: true } })
  assert.equal(certain.result.details['segments'], 3)
})

test('where no try is accepted the best is taken, and the answer says so', async () => {
  const { result } = await run({
    strategy: 'segment_rejection', segment: { tokens: 2 }, strength: 1000, target_reward: 100, max_tries: 3
  }, { scorer: oddities, seed: 2, sampling: { maxTokens: 4, ignoreEos: true } })
  assert.equal(result.details['fallbacks'], 2)
  assert.match(result.warnings[0]!.message, /2 of 2 segments were the best of 3 tries/)
  const first = result.candidates.filter(one => one.tokens === 2).map(one => one.score!.value)
  assert.equal(first.length, 2)
  assert.ok(oddity(tokensOf(result.choices[0]!.text).slice(0, 2)) >= Math.max(...first))
  assert.equal(result.generatedTokens, 12)
})

test('two choices are two answers, each of its own stream', async () => {
  const { result, texts } = await run(alignment, { scorer: oddities, seed: 6, n: 2, sampling: { maxTokens: 6 } })
  assert.deepEqual(texts, result.choices.map(choice => choice.text))
  assert.deepEqual(
    (await run(alignment, { scorer: oddities, seed: 6, sampling: { maxTokens: 6 } })).result.choices[0]!.text, texts[0]
  )
})

test('a budget that ends with a segment ends the answer there: no other is tried', async () => {
  const { result } = await run({ strategy: 'segment_rejection', segment: { tokens: 2 }, target_reward: -100 },
    { scorer: oddities, limits: { maxGeneratedTokens: 4 }, sampling: { maxTokens: 8, ignoreEos: true } })
  assert.deepEqual([result.details['segments'], result.details['tries'], result.generatedTokens, result.stoppedBy],
    [2, 2, 4, 'max_generated_tokens'])
  assert.equal(result.choices[0]!.score!.value, oddity(tokensOf(result.choices[0]!.text)))
})
