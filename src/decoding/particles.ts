/** The arithmetic of weighted particles: effective sample size, resampling. Knows no candidates. */
import type { Random } from './runtime.js'

/** ln of the mean of exp(values). */
export function logMeanExp (values: readonly number[]): number {
  const largest = Math.max(...values)
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0) / values.length)
}

/** 1 / Σ w² of normalised weights: how many equally weighted particles are as good. From 1 to their number. */
export const effectiveSize = (weights: readonly number[]): number => 1 / weights.reduce((sum, weight) => sum + weight * weight, 0)

/**
 * Offspring of each particle, as many in all as there are particles, each with expectation N · w. Systematic: one draw, points at equal distances, so that a
 * particle gets ⌊N·w⌋ or ⌈N·w⌉. Multinomial: independent draws.
 * @param weights normalised
 */
export function offspring (weights: readonly number[], method: 'systematic' | 'multinomial', random: Random): number[] {
  const count = weights.length
  const first = method === 'systematic' ? random.next() : 0
  const points = Array.from({ length: count }, (_, index) => method === 'systematic' ? (index + first) / count : random.next())
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
