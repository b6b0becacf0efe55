import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  isEnough, leaderProbability, majorityProbability, studentCdf
} from '../../../../src/decoding/selection/adaptive-stopping.js'
import type { Choice } from '../../../../src/decoding/result.js'
import {
  expectedBest, pessimisticWeights, selectByRejection, softmaxKl, softmaxWeights, softmaxWeightsWithin
} from '../../../../src/decoding/selection/selection-rules.js'
import { voteGroups, winner } from '../../../../src/decoding/selection/votes.js'
import { RequestError } from '../../../../src/errors.js'
import { keepBest } from '../../../../src/serving/keep-best-of.js'
import { indifferent, oddities, oddity, run, textOf } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom, tally, tuples } from '../../../helpers/statistics.js'
import { enumerate, ToyPolicy, toyScorer } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy({ size: 3, seed: 4 })
const sampling = { maxTokens: 2 }
const answers = enumerate(policy, 2)
const byText = tally(answers, one => textOf(one.tokens), one => one.probability)

/**
 * The exact distribution of the answer chosen among n draws.
 * @param weigh probability of each of n rewards to be chosen
 */
function chosenAmong (
  n: number, weigh: (rewards: readonly number[]) => readonly number[], reward: (tokens: readonly number[]) => number
): Map<string, number> {
  const outcomes = tuples(answers, n).flatMap(drawn => {
    const probability = drawn.reduce((product, one) => product * one.probability, 1)
    return weigh(drawn.map(one => reward(one.tokens)))
      .map((weight, index) => ({ answer: textOf(drawn[index]!.tokens), probability: probability * weight }))
  })
  return tally(outcomes.filter(one => one.probability > 0), one => one.answer, one => one.probability)
}

const argmaxWeights = (rewards: readonly number[]): number[] =>
  rewards.map((reward, index) => index === rewards.indexOf(Math.max(...rewards)) && reward > -Infinity ? 1 : 0)

/** The chance that sequential rejection stops at each. */
function rejectionWeights (rewards: readonly number[], strength: number): number[] {
  const weights = pessimisticWeights(rewards, strength)
  const accept = weights.map(weight => weight / Math.max(...weights))
  return accept.map((a, index) => accept.slice(0, index).reduce((product, before) => product * (1 - before), a))
}

async function draw (alignment: Record<string, unknown>, rounds: number, given: object = {}): Promise<string[]> {
  const texts: string[] = []
  for (let seed = 0; seed < rounds; seed++) {
    texts.push((await run(alignment, { policy, sampling, seed, scorer: oddities, ...given })).result.choices[0]!.text)
  }
  return texts
}

for (const [selection, weigh] of [
  ['argmax', argmaxWeights],
  ['softmax', (rewards: readonly number[]) => softmaxWeights(rewards, 0.8)],
  ['pessimistic', (rewards: readonly number[]) => rejectionWeights(rewards, 0.8)]
] as const) {
  test(`${selection} draws from the distribution that enumeration of all triples gives`, async () => {
    const strength = selection === 'argmax' ? {} : { strength: 0.8 }
    assertDrawnFrom(chosenAmong(3, weigh, oddity),
      await draw({ strategy: 'best_of_n', num_candidates: 3, selection, ...strength }, 2000), selection)
  })
}

test('softmax and pessimistic selection at strength 0 draw from the policy', async () => {
  for (const selection of ['softmax', 'pessimistic']) {
    assertDrawnFrom(byText, await draw({ strategy: 'best_of_n', num_candidates: 3, selection, strength: 0 }, 800),
      selection)
  }
})

test('max_kl lowers the strength of softmax selection until the choice costs no more, and no further', async () => {
  const rewards = [3, -1, 0.5, 2]
  assert.deepEqual(softmaxWeightsWithin(rewards, 1.5, 10), softmaxWeights(rewards, 1.5))
  for (const strength of [5, -5]) {
    const weights = softmaxWeightsWithin(rewards, strength, 0.3)
    assert.ok(Math.abs(softmaxKl(weights).value! - 0.3) < 1e-6)
    assert.equal(weights.indexOf(Math.max(...weights)), strength > 0 ? 0 : 1)
  }
  for (const weight of softmaxWeightsWithin(rewards, 5, 0)) assert.ok(Math.abs(weight - 0.25) < 1e-6)
  for (let seed = 0; seed < 10; seed++) {
    const { result } =
      await run({ strategy: 'best_of_n', num_candidates: 6, selection: 'softmax', strength: 9, max_kl: 0.4 },
        { scorer: oddities, seed })
    assert.ok(result.kl.value! <= 0.4 + 1e-9)
  }
})

test('soft best-of-n comes closer to policy · exp(strength · reward) with n', () => {
  const normalizer = answers.reduce((sum, one) => sum + one.probability * Math.exp(oddity(one.tokens)), 0)
  const target =
    tally(answers, one => textOf(one.tokens), one => one.probability * Math.exp(oddity(one.tokens)) / normalizer)
  const distances = [1, 2, 4].map(n => {
    const drawn = chosenAmong(n, rewards => softmaxWeights(rewards, 1), oddity)
    return [...target].reduce((sum, [answer, p]) => sum + Math.abs(p - (drawn.get(answer) ?? 0)) / 2, 0)
  })
  for (let i = 1; i < distances.length; i++) assert.ok(distances[i]! < 0.75 * distances[i - 1]!, distances.join())
})

/** ∫ from 0 to ∞ by Simpson's rule over ln t. */
function integral (of: (t: number) => number): number {
  const [low, high, intervals] = [-40, 8, 1200]
  const width = (high - low) / intervals
  const at = (index: number): number => { const t = Math.exp(low + index * width); return of(t) * t }
  return Array.from({ length: intervals + 1 }, (_, index) => at(index) *
    (index === 0 || index === intervals ? 1 : index % 2 === 1 ? 4 : 2)).reduce((sum, one) => sum + one, 0) * width / 3
}

/**
 * The exact distribution of soft best-of-n for any n: n · p · e^r · E[1 / (e^r + Σ of the others' e^r)], with 1 / s = ∫
 * e^(−ts) dt.
 */
function softBestOf (
  n: number, all: ReadonlyArray<{ readonly probability: number, readonly reward: number }>
): number[] {
  const sizes = all.map(one => Math.exp(one.reward))
  const transform = (t: number): number =>
    all.reduce((sum, one, index) => sum + one.probability * Math.exp(-t * sizes[index]!), 0)
  return all.map(({ probability }, index) =>
    n * probability * sizes[index]! * integral(t => Math.exp(-t * sizes[index]!) * transform(t) ** (n - 1)))
}

test('the distance of soft best-of-n to policy · exp(reward) falls as 1 / n, on a toy of 121 answers', () => {
  const few = answers.map(({ tokens, probability }) => ({ probability, reward: oddity(tokens) }))
  const expected = chosenAmong(3, rewards => softmaxWeights(rewards, 1), oddity)
  const byIntegral =
    tally(answers.map(({ tokens }, index) => ({ text: textOf(tokens), probability: softBestOf(3, few)[index]! })),
      one => one.text, one => one.probability)
  for (const [answer, p] of expected) assert.ok(Math.abs(byIntegral.get(answer)! - p) < 1e-6, answer)

  const all = enumerate(new ToyPolicy({ size: 4, seed: 4 }),
    4).map(({ tokens, probability }) => ({ probability, reward: oddity(tokens) / 2 }))
  assert.equal(all.length, 121)
  const normalizer = all.reduce((sum, one) => sum + one.probability * Math.exp(one.reward), 0)
  const distance = (n: number): number => softBestOf(n, all).reduce(
    (sum, p, index) => sum + Math.abs(p - all[index]!.probability * Math.exp(all[index]!.reward) / normalizer) / 2, 0
  )
  const [at4, at16, at64] = [4, 16, 64].map(distance) as [number, number, number]
  for (const ratio of [at4 / at16, at16 / at64]) assert.ok(ratio > 3 && ratio < 5, [at4, at16, at64].join())
  assert.ok(at64 < 0.02)
})

test('best-of-n wins against the policy at most n of n + 1 times, and its KL stays below the bound', () => {
  // Rewards without ties: the win rate is then exactly n / (n + 1) in the limit of many answers; here it is below.
  const reward = (tokens: readonly number[]): number => byText.size - [...byText.keys()].indexOf(textOf(tokens))
  for (const n of [2, 4]) {
    const best = chosenAmong(n, argmaxWeights, reward)
    let [wins, kl] = [0, 0]
    for (const [answer, p] of best) {
      kl += p * Math.log(p / byText.get(answer)!)
      for (const one of answers) {
        const difference = byText.size - [...byText.keys()].indexOf(answer) - reward(one.tokens)
        wins += p * one.probability * (difference > 0 ? 1 : difference === 0 ? 0.5 : 0)
      }
    }
    assert.ok(wins <= n / (n + 1))
    assert.ok(wins > 0.5)
    assert.ok(kl > 0 && kl <= Math.log(n) - (n - 1) / n)
  }
})

test('pessimistic weights have mean 1 and grow with the reward above λ', () => {
  for (const rewards of [[1], [0, 0, 0], [3, 1, 2], [10, 0, 0, 0], [-1, -5, 2, 2]]) {
    for (const strength of [-2, 0, 0.5, 4]) {
      const weights = pessimisticWeights(rewards, strength)
      assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) / rewards.length - 1) < 1e-12)
      assert.ok(weights.every(weight => weight >= 0))
    }
  }
  // λ with rewards 3, 1, 2: (3 + 1 + 2 − 3) / 3 = 1, so weights 2, 0, 1.
  assert.deepEqual(pessimisticWeights([3, 1, 2], 1), [2, 0, 1])
  // One far ahead: λ = 10 − 4, all weight on it.
  assert.deepEqual(pessimisticWeights([10, 0, 0, 0], 1), [4, 0, 0, 0])
  assert.equal(selectByRejection([0, 2, 1], { next: () => 0.99 }), 1)
})

test('the reward of the best of fewer answers is its mean over all subsets of the pool', async () => {
  const rewards = [3, -1, 4, 4, 0.5]
  for (let n = 1; n <= 5; n++) {
    const subsets = Array.from({ length: 32 }, (_, bits) => rewards.filter((_, index) => bits >> index & 1))
      .filter(subset => subset.length === n)
    const mean = subsets.reduce((sum, subset) => sum + Math.max(...subset), 0) / subsets.length
    assert.ok(Math.abs(expectedBest(rewards, n) - mean) < 1e-12, `n = ${n}`)
  }
  const { result } = await run({ strategy: 'best_of_n', num_candidates: 6 }, { scorer: oddities })
  const curve = result.details['reward_by_n'] as Array<{ n: number, reward: number }>
  assert.deepEqual(curve.map(one => one.n), [1, 2, 4, 6])
  assert.ok(Math.abs(curve.at(-1)!.reward - result.choices[0]!.score!.value) < 1e-12)
  for (let i = 1; i < curve.length; i++) assert.ok(curve[i]!.reward >= curve[i - 1]!.reward)
})

test('a threshold that is met gives the best answer; one that is not, the best with a warning, or ' +
  'an error', async () => {
  const best = await run({ strategy: 'best_of_n', num_candidates: 5 }, { scorer: oddities, seed: 3 })
  const reward = best.result.choices[0]!.score!.value
  const met = await run({
    strategy: 'best_of_n', num_candidates: 5, selection: 'threshold', min_reward: reward, fallback: 'error'
  }, { scorer: oddities, seed: 3 })
  assert.deepEqual([met.result.choices, met.result.warnings], [best.result.choices, []])
  const missed = await run({ strategy: 'best_of_n', num_candidates: 5, selection: 'threshold', min_reward: reward + 1 },
    { scorer: oddities, seed: 3 })
  assert.deepEqual(missed.result.choices, best.result.choices)
  assert.equal(missed.result.warnings[0]!.code, 'reward_below_threshold')
  await assert.rejects(run({
    strategy: 'best_of_n', num_candidates: 5, selection: 'threshold', min_reward: reward + 1, fallback: 'error'
  }, { scorer: oddities, seed: 3 }), (error: unknown) =>
    error instanceof RequestError && error.status === 422 && error.code === 'reward_below_threshold' &&
      error.param === 'alignment.min_reward' && /of 5 answers has reward .* below min_reward/.test(error.message))
})

test('kl_regularized adds the answer’s logprob to its reward', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { result } =
      await run({ strategy: 'best_of_n', num_candidates: 6, selection: 'kl_regularized', logprob_weight: 2 },
        { scorer: oddities, seed })
    const values = result.candidates.map(one => one.score!.value + 2 * one.logprob)
    assert.equal(result.choices[0]!.candidateIndex, values.indexOf(Math.max(...values)))
  }
})

test('mbr takes the answer most like the others, without a reward; mbr_regularized adds that to ' +
  'the reward', async () => {
  const counts = (text: string): number[] =>
    Array.from({ length: 4 }, (_, token) => [...text].filter(letter => letter.charCodeAt(0) - 97 === token).length)
  const cosine = (one: string, other: string): number => {
    const [a, b] = [counts(one), counts(other)]
    const norms = Math.hypot(...a) * Math.hypot(...b)
    return norms === 0 ? 0 : a.reduce((sum, value, index) => sum + value * b[index]!, 0) / norms
  }
  for (const [alignment, weight] of [[{ reward: null, selection: 'mbr' }, 1],
    [{ selection: 'mbr_regularized', similarity_weight: 3 }, 3]] as const) {
    for (let seed = 0; seed < 20; seed++) {
      const { result } = await run({ strategy: 'best_of_n', num_candidates: 6, ...alignment },
        { scorer: alignment.selection === 'mbr' ? null : oddities, seed, sampling: { maxTokens: 5 } })
      const texts = result.candidates.map(one => one.text)
      const values = texts.map((one, index) => (result.candidates[index]!.score?.value ?? 0) +
        weight * texts.reduce((sum, other) => sum + cosine(one, other), 0) / texts.length)
      const chosen = values[result.choices[0]!.candidateIndex]!
      assert.ok(Math.abs(chosen - Math.max(...values)) < 1e-6)
      assert.ok(Math.abs(result.kl.value! - Math.log(6)) < 1e-12)
    }
  }
})

test('a majority needs no reward, counts equal answers each, and ties go to the first', async () => {
  let won = 0
  for (let seed = 0; seed < 30; seed++) {
    const { result } = await run({ strategy: 'best_of_n', reward: null, num_candidates: 7, selection: 'majority' },
      { policy, sampling, seed })
    // An empty answer says nothing.
    const counts = tally(result.candidates.filter(one => one.text !== ''), one => one.text, () => 1)
    assert.equal(counts.get(result.choices[0]!.text), Math.max(...counts.values()))
    assert.equal(result.choices[0]!.text, [...counts].find(([, count]) => count === Math.max(...counts.values()))![0])
    if (Math.max(...counts.values()) > 1) won++
    assert.equal(result.choices[0]!.score, null)
  }
  assert.ok(won > 10)
})

test('weighted votes add the rewards of equal answers, and return the best of them', () => {
  const all = voteGroups(['so 3', 'it is 4', '3.0', 'none'], 'last_number')
  assert.deepEqual(all,
    [{ answer: '3', members: [0, 2] }, { answer: '4', members: [1] }, { answer: null, members: [3] }])
  assert.deepEqual(winner(all, [0.3, 0.5, 0.3, 9]).answer, '3')
  assert.deepEqual(winner(all, [0.1, 0.5, 0.3, 9]).answer, '4')
  assert.deepEqual(winner([all[2]!], [0, 0, 0, 1]).answer, null)
})

test('weighted_majority warns of rewards below 0, which count against their answer', async () => {
  const { result } = await run({ strategy: 'best_of_n', num_candidates: 4, selection: 'weighted_majority' },
    { scorer: toyScorer(() => -1) })
  assert.deepEqual(result.warnings.map(warning => warning.code), ['negative_votes'])
  const fine = await run({ strategy: 'best_of_n', num_candidates: 4, selection: 'weighted_majority' },
    { scorer: toyScorer(() => 1) })
  assert.deepEqual(fine.result.warnings, [])
})

test('what is voted for can be a line, a number, a box, or what follows a text', () => {
  const said = 'First 12.\nThen \\boxed{\\frac{1}{{2}}} and 1,234.5\nAnswer: Yes'
  const answer = (extract: Parameters<typeof voteGroups>[1], of = said): string | null =>
    voteGroups([of], extract)[0]!.answer
  assert.equal(answer('last_line'), 'answer: yes')
  assert.equal(answer('last_number'), '1234.5')
  assert.equal(answer({ after: 'Answer:' }), 'yes')
  assert.equal(answer('boxed', 'so \\boxed{{7}}'), '7')
  assert.equal(answer('boxed', 'so \\boxed{7'), null)
  assert.equal(answer('last_number', 'none at all'), null)
  assert.equal(answer('last_number', 'between 3-4'), '4')
  assert.equal(answer('text', '  '), null)
})

test('Student’s t is that of the tables', () => {
  for (const [t, degrees, p] of [[0, 3, 0.5], [1, 1, 0.75], [6.314, 1, 0.95], [2.92, 2, 0.95], [2.353, 3, 0.95],
    [2.132, 4, 0.95], [-2.132, 4, 0.05], [1.812, 10, 0.95], [2.75, 30, 0.995]] as const) {
    assert.ok(Math.abs(studentCdf(t, degrees) - p) < 2e-4, `${t} with ${degrees}: ${studentCdf(t, degrees)}`)
  }
})

test('a leader far ahead of many is likely to stay; of few, or of equals, nothing is claimed', () => {
  assert.equal(leaderProbability([5, 1], 3), 0)
  assert.equal(leaderProbability([1, 1, 1, 1], 3), 0)
  assert.equal(leaderProbability([1, 2, 3], 0), 1)
  const rewards = [0, 1, -1, 0.5, -0.5, 0.2, 8]
  assert.ok(leaderProbability(rewards, 1) > leaderProbability(rewards, 5))
  // Mean 8.2 / 7 and standard deviation 3.08: t = 2.08 with 6 degrees of freedom is exceeded with probability 0.0415.
  assert.ok(Math.abs(leaderProbability(rewards, 2) - (1 - 2 * 0.0415)) < 2e-3)
})

test('the chance that a majority is one follows the Beta posterior', () => {
  assert.equal(majorityProbability([0]), 0.5)
  assert.equal(majorityProbability([3, 3]), 0.5)
  // Beta(2, 1) above one half: 1 − 1/4; Beta(5, 1): 1 − 1/32.
  assert.ok(Math.abs(majorityProbability([1]) - 0.75) < 1e-12)
  assert.ok(Math.abs(majorityProbability([4]) - 31 / 32) < 1e-12)
  assert.ok(Math.abs(majorityProbability([2, 1, 1]) - 11 / 16) < 1e-12)
  assert.ok(isEnough({ majority_probability: 0.95, every: 1 }, [], [4], 9))
  assert.ok(!isEnough({ majority_probability: 0.95, every: 1 }, [], [], 9))
})

test('stop_when draws answers a few at a time, the very ones that all at once would be drawn', async () => {
  for (let seed = 0; seed < 15; seed++) {
    const all = (await run({ strategy: 'best_of_n', num_candidates: 9 }, { scorer: oddities, seed })).result
    const { result, policy: toy } = await run(
      { strategy: 'best_of_n', num_candidates: 9, stop_when: { min_reward: 2, every: 2 } }, { scorer: oddities, seed }
    )
    const drawn = result.candidates.length
    assert.deepEqual(result.candidates, all.candidates.slice(0, drawn))
    const reached = (upTo: number): boolean => all.candidates.slice(0, upTo).some(one => one.score!.value >= 2)
    assert.ok(drawn === 9 || (drawn % 2 === 0 && reached(drawn)))
    assert.ok(drawn === 1 || !reached(drawn - (drawn === 9 ? 1 : 2)))
    assert.ok(Math.abs(result.kl.value! - Math.log(9)) < 1e-12)
    assert.equal(toy.open, 0)
  }
  const never = await run({ strategy: 'best_of_n', num_candidates: 5, stop_when: { leader_probability: 1 } },
    { scorer: indifferent })
  assert.equal(never.result.candidates.length, 5)
})

test('best_of keeps the answers with the highest mean logprob, and one that a budget left no token last', () => {
  const choice = (candidateIndex: number, logprob: number, completionTokens: number): Choice =>
    ({
      candidateIndex,
      text: '',
      finishReason: 'length',
      completionTokens,
      logprob,
      score: null,
      logprobs: [],
      tokenIds: []
    })
  const kept = keepBest([choice(0, 0, 0), choice(1, -6, 2), choice(2, -4, 2), choice(3, 0, 0)], 3)
  assert.deepEqual(kept.map(one => one.candidateIndex), [2, 1, 0])
})
