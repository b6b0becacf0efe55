/**
 * The statistics of evaluations: what best-of-n would have chosen, how far it is from the policy, intervals over
 * prompts. Numbers in, numbers out.
 */
import { largestShare } from '../decoding/selection/bisection.js'
import { bestOfNKl } from '../decoding/selection/selection-rules.js'
import type { Estimate } from '../reporting/estimate.js'
import { uniform } from '../statistics/random.js'

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Pearson's correlation; 0 where either does not vary. */
export function correlation (a: readonly number[], b: readonly number[]): number {
  const [centreA, centreB] = [mean(a), mean(b)]
  const covariance = mean(a.map((value, index) => (value - centreA) * (b[index]! - centreB)))
  const spread = Math.sqrt(mean(a.map(value => (value - centreA) ** 2)) * mean(b.map(value => (value - centreB) ** 2)))
  return spread === 0 ? 0 : covariance / spread
}

/** Positions of answers by ascending key; those of equal keys together. */
function tiers (keys: readonly number[]): number[][] {
  const found = new Map<number, number[]>()
  for (const [index, key] of keys.entries()) found.set(key, [...found.get(key) ?? [], index])
  return [...found.entries()].sort(([a], [b]) => a - b).map(([, members]) => members)
}

/**
 * The mean of `values` at the answer with the largest key among n drawn from the pool without replacement: an unbiased
 * estimate, from one pool, of what best-of-n returns. Σ over ranks i ≥ n of C(i − 1, n − 1) / C(N, n) · value at rank
 * i. Among equal keys each is as likely.
 * @param keys what best-of-n goes by, one per answer
 * @param values what is asked of the answer chosen, one per answer
 * @param n from 1 to the number of answers, whole or not: in between it is interpolated
 */
export function expectedAtBest (keys: readonly number[], values: readonly number[], n: number): number {
  const [floor, share] = [Math.floor(n), n % 1]
  const at = (size: number): number => {
    const ascending = tiers(keys).flatMap(members => members.map(() => mean(members.map(index => values[index]!))))
    let [weight, sum] = [size / keys.length, 0]
    for (let rank = keys.length; rank >= size; rank--) {
      sum += weight * ascending[rank - 1]!
      weight *= (rank - size) / (rank - 1 || 1)
    }
    return sum
  }
  return share === 0 ? at(floor) : (1 - share) * at(floor) + share * at(floor + 1)
}

/**
 * KL of best-of-n to the policy, nats, as the pool tells it: exact for a policy that gives the pool's answers with
 * equal chances, where answers of equal keys count as the same. Its upper bound ln n − (n − 1)/n is reached where no
 * two keys are equal; near n = N the pool is too coarse to tell.
 */
export function pooledKl (keys: readonly number[], n: number): number {
  let [below, kl] = [0, 0]
  for (const members of tiers(keys)) {
    const mass = members.length / keys.length
    const chosen = (below + mass) ** n - below ** n
    if (chosen > 0) kl += chosen * Math.log(chosen / mass)
    below += mass
  }
  return kl
}

/** The n whose best-of-n has a KL bound of so many nats, at most `most`. */
export function sizeAtKl (nats: number, most: number): number {
  const sizeAt = (share: number): number => 1 + share * (most - 1)
  return sizeAt(largestShare(share => bestOfNKl(sizeAt(share)) <= nats))
}

/** Resamples of an interval. */
const resamples = 2000

/**
 * A statistic over prompts with its percentile bootstrap interval: prompts are drawn anew with replacement, what
 * belongs to one prompt stays together. The same items give the same interval. One prompt has no interval: its ends are
 * infinite.
 * @param items one per prompt, at least one
 */
export function overPrompts<T> (items: readonly T[], statistic: (items: readonly T[]) => number): Estimate {
  const value = statistic(items)
  if (items.length < 2) return { value, low: -Infinity, high: Infinity }
  const random = uniform(20)
  const drawn = Array.from({ length: resamples }, () =>
    statistic(items.map(() => items[Math.floor(random() * items.length)]!))).sort((a, b) => a - b)
  return { value, low: drawn[Math.floor(0.025 * resamples)]!, high: drawn[Math.ceil(0.975 * resamples) - 1]! }
}

/** Share of a total over prompts: a ratio of means. */
export const ratioOverPrompts = <T>(
  items: readonly T[], above: (item: T) => number, below: (item: T) => number
): Estimate => overPrompts(items, some => mean(some.map(above)) / mean(some.map(below)))

/** The mean over prompts. */
export const meanOverPrompts = (values: readonly number[]): Estimate => overPrompts(values, mean)

/** Share of distinct pairs of neighbouring words in a text (distinct-2); 1 where there is no pair. */
export function distinctPairs (text: string): number {
  const words = text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []
  const pairs = words.slice(1).map((word, index) => `${words[index]!} ${word}`)
  return pairs.length === 0 ? 1 : new Set(pairs).size / pairs.length
}
