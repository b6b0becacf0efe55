/**
 * When drawing more answers is not worth it: a reward reached, a leader that is likely to stay one. Looks at whole
 * answers only, drawn independently, so that what is drawn does not favour short ones.
 */
import type { StopWhen } from '../strategies/strategy-schemas.js'

/** Student's t: P(T ≤ t) with whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4). */
export function studentCdf (t: number, degrees: number): number {
  const theta = Math.atan(t / Math.sqrt(degrees))
  const [sine, cosine] = [Math.sin(theta), Math.cos(theta)]
  const even = degrees % 2 === 0
  let term = even ? 1 : cosine
  let sum = degrees === 1 ? 0 : term
  for (let k = even ? 2 : 3; k <= degrees - 2; k += 2) {
    term *= cosine ** 2 * (k - 1) / k
    sum += term
  }
  return even ? (1 + sine * sum) / 2 : 0.5 + (theta + sine * sum) / Math.PI
}

/**
 * How likely the best of the rewards so far stays the best of all, at least: rewards taken as normal, their mean and
 * variance unknown (Student's predictive distribution), the chances of those to come added up (union bound). With fewer
 * than three rewards nothing is claimed.
 * @param left answers that would still be drawn
 */
export function leaderProbability (rewards: readonly number[], left: number): number {
  const count = rewards.length
  if (left === 0) return 1
  if (count < 3) return 0
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / count
  const variance = rewards.reduce((sum, reward) => sum + (reward - mean) ** 2, 0) / (count - 1)
  // All alike: nothing is known of how they spread.
  if (variance === 0) return 0
  const t = (Math.max(...rewards) - mean) / Math.sqrt(variance * (1 + 1 / count))
  return Math.max(0, 1 - left * (1 - studentCdf(t, count - 1)))
}

/**
 * How likely the most frequent answer is more frequent than the second in truth: P(p > ½) for p of the two, from their
 * counts and a uniform prior (the Beta posterior of adaptive self-consistency, Aggarwal et al. 2023, arXiv 2305.11860).
 */
export function majorityProbability (counts: readonly number[]): number {
  const [first = 0, second = 0] = [...counts].sort((a, b) => b - a)
  const tosses = first + second + 1
  // I½(second + 1, first + 1) is the chance of more than `second` heads in that many fair tosses.
  let term = 2 ** -tosses
  let sum = 0
  for (let heads = 0; heads <= tosses; heads++) {
    if (heads > second) sum += term
    term *= (tosses - heads) / (heads + 1)
  }
  return sum
}

/**
 * Whether to stop.
 * @param counts answers per vote group, of those that can be voted for
 * @param left answers that would still be drawn
 */
export function isEnough (
  stop: Omit<StopWhen, 'eager'>, rewards: readonly number[], counts: readonly number[], left: number
): boolean {
  if (stop.min_reward !== undefined) return Math.max(...rewards) >= stop.min_reward
  if (stop.leader_probability !== undefined) return leaderProbability(rewards, left) >= stop.leader_probability
  return counts.length > 0 && majorityProbability(counts) >= stop.majority_probability!
}
