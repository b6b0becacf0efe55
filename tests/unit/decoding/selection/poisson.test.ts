/** Best-of-Poisson: how many answers are drawn, which is chosen, what that costs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAlignment } from '../../../../src/decoding/strategies/parse-alignment.js'
import { fanOut } from '../../../../src/decoding/strategies/strategy-footprint.js'
import { drawNumber, maxOfPoisson, poissonKl } from '../../../../src/decoding/selection/poisson.js'
import { randomStream } from '../../../../src/policies/random-stream.js'
import { oddities, oddity, run, textOf } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom, tally } from '../../../helpers/statistics.js'
import { enumerate, ToyPolicy } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy({ size: 3, seed: 4 })
const sampling = { maxTokens: 3 }
const mean = 1.5

/** P(Poisson(mean) = k). */
const chance = (k: number): number => k === 0 ? Math.exp(-mean) : chance(k - 1) * mean / k

/**
 * The exact distribution of the answer of Best-of-Poisson: answers in order of reward, (P below + own)^N − (P below)^N
 * averaged over N, shared among ties as the policy has them.
 */
function exact (reward: (tokens: readonly number[]) => number): Map<string, number> {
  const answers = enumerate(policy, sampling.maxTokens)
  const mass = (of: (other: number) => boolean): number =>
    answers.reduce((sum, one) => of(reward(one.tokens)) ? sum + one.probability : sum, 0)
  const sizes = Array.from({ length: 40 }, (_, k) => k)
  return tally(answers, one => textOf(one.tokens), ({ tokens, probability }) => {
    const own = reward(tokens)
    const [below, tied] = [mass(other => other < own), mass(other => other === own)]
    return probability / tied *
      sizes.reduce((sum, k) => sum + chance(k) * ((below + tied) ** (k + 1) - below ** (k + 1)), 0)
  })
}

test('Best-of-Poisson draws from the distribution that enumeration gives', async () => {
  const drawn: string[] = []
  for (let seed = 0; seed < 1500; seed++) {
    drawn.push((await run({ strategy: 'best_of_n', poisson_mean: mean },
      { policy, sampling, seed, scorer: oddities })).result.choices[0]!.text)
  }
  assertDrawnFrom(exact(oddity), drawn, 'Best-of-Poisson')
})

test('its KL stays below the bound that is reported, and comes close to it where rewards do not tie', () => {
  const answers = tally(enumerate(policy, sampling.maxTokens), one => textOf(one.tokens), one => one.probability)
  const names = [...answers.keys()]
  const kl = (reward: (tokens: readonly number[]) => number): number =>
    [...exact(reward)].reduce((sum, [answer, p]) => sum + p * Math.log(p / answers.get(answer)!), 0)
  const distinct = kl(tokens => names.indexOf(textOf(tokens)))
  assert.ok(distinct < poissonKl(mean))
  assert.ok(kl(oddity) <= distinct + 1e-9)
  // Many answers of equal chance, no two of the same reward: the bound itself.
  const count = 4000
  let fine = 0
  for (let rank = 0; rank < count; rank++) {
    const p = Array.from({ length: 40 }, (_, k) => k)
      .reduce((sum, k) => sum + chance(k) * (((rank + 1) / count) ** (k + 1) - (rank / count) ** (k + 1)), 0)
    fine += p * Math.log(p * count)
  }
  assert.ok(Math.abs(fine - poissonKl(mean)) < 1e-3)
  assert.equal(poissonKl(0), 0)
})

test('the number is 1 + Poisson, and never more than what the request reserves', async () => {
  const random = randomStream(1, 'numbers')
  const drawn = Array.from({ length: 4000 }, () => String(drawNumber(mean, random)))
  assertDrawnFrom(new Map(Array.from({ length: 30 }, (_, k) => [String(k + 1), chance(k)])), drawn, 'numbers')
  for (const one of [0, 0.1, 3, 64]) {
    assert.equal(drawNumber(one, { next: () => 1 - 2 ** -53 }), maxOfPoisson(one))
    const alignment = parseAlignment({ reward: 'x', poisson_mean: one })
    assert.equal(fanOut(alignment, 1), maxOfPoisson(one))
    assert.ok(maxOfPoisson(one) <= 128)
  }
  const { result } = await run({ strategy: 'best_of_n', poisson_mean: 3 }, { scorer: oddities, seed: 2 })
  assert.deepEqual(result.kl, { value: poissonKl(3), kind: 'upper_bound' })
  assert.equal((result.details['reward_by_n'] as Array<{ n: number }>).at(-1)!.n, result.candidates.length)
})
