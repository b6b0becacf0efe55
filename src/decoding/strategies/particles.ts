/**
 * The arithmetic of weighted particles: effective sample size, resampling, also where one particle must live on. Knows
 * no candidates.
 */
import type { Random } from '../../policies/random-stream.js'

export type Resampling = 'systematic' | 'multinomial'

/** ln of the mean of exp(values). */
export function logMeanExp (values: readonly number[]): number {
  const largest = Math.max(...values)
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0) / values.length)
}

/** 1 / Σ w² of normalised weights: how many equally weighted particles are as good. From 1 to their number. */
export const effectiveSize = (weights: readonly number[]): number =>
  1 / weights.reduce((sum, weight) => sum + weight * weight, 0)

/**
 * Offspring of each particle, as many in all as there are particles, each with expectation N · w. Systematic: one draw,
 * points at equal distances, so that a particle gets ⌊N·w⌋ or ⌈N·w⌉. Multinomial: independent draws.
 * @param weights normalised
 */
export function offspring (weights: readonly number[], method: Resampling, random: Random): number[] {
  return atPoints(weights,
    method === 'systematic' ? spaced(weights.length, random.next()) : weights.map(() => random.next()))
}

/**
 * Offspring given that the first particle lives on: as `offspring` draws them where one of the next generation, taken
 * evenly, comes from the first. Systematic: Chopin and Singh 2015 (On particle Gibbs sampling), algorithm 4.
 * Multinomial: the others are drawn as ever.
 */
export function conditionalOffspring (weights: readonly number[], method: Resampling, random: Random): number[] {
  const points = method === 'systematic'
    ? spaced(weights.length, conditionalStart(weights.length * weights[0]!, random))
    : weights.map(() => random.next())
  // The first point is the first particle's, even where its weight has vanished beside the others.
  const [own, ...others] = atPoints(weights, points.slice(1))
  return [own! + 1, ...others]
}

/**
 * The first of equally spaced points, in distances between them, where it is as likely as the first particle has
 * children then.
 * @param expected how many it has on average
 */
function conditionalStart (expected: number, random: Random): number {
  const fewest = Math.floor(expected)
  const more = expected - fewest
  // Below `more` it has one child more than above.
  const below = random.next() * expected < more * (fewest + 1)
  const within = random.next()
  return below ? within * more : more + within * (1 - more)
}

/** Points at equal distances in [0, 1). @param first in distances between them: [0, 1) */
const spaced = (count: number, first: number): number[] =>
  Array.from({ length: count }, (_, index) => (index + first) / count)

/** How many of the points in [0, 1) each particle's share of it holds. */
function atPoints (weights: readonly number[], points: readonly number[]): number[] {
  const children = weights.map(() => 0)
  for (const point of points) {
    let mass = 0
    let last = 0
    for (const [index, weight] of weights.entries()) {
      if (weight === 0) continue
      last = index
      mass += weight
      if (point < mass) break
    }
    // Rounding may leave a sliver beyond the sum: it belongs to the last particle that has weight.
    children[last]!++
  }
  return children
}
