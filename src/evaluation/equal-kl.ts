/**
 * What others gain at a given KL: a curve of guidance between its strengths, soft best-of-n at the strength that has
 * it. Gains prompt by prompt. Pure.
 */
import { largestShare } from '../decoding/selection/bisection.js'
import { mean } from './statistics.js'

/** One strength of a curve. */
export interface CurvePoint {
  /** Mean over prompts, nats. */
  readonly kl: number
  /** Prompt by prompt. */
  readonly gains: readonly number[]
}

/**
 * What a curve gains at a KL: on straight lines from no gain at 0 nats through its points; null beyond its last one.
 */
export function curveGain (points: readonly CurvePoint[], kl: number): number[] | null {
  const known = points.toSorted((a, b) => a.kl - b.kl)
  const after = known.findIndex(point => point.kl >= kl)
  if (after < 0) return null
  const end = known[after]!
  const start = known[after - 1] ?? { kl: 0, gains: end.gains.map(() => 0) }
  const share = end.kl === start.kl ? 1 : (kl - start.kl) / (end.kl - start.kl)
  return end.gains.map((gain, index) => start.gains[index]! + share * (gain - start.gains[index]!))
}

/** P(i) ∝ exp(strength · key_i), and its KL to equal chances, nats. */
function tilted (
  keys: readonly number[], strength: number
): { readonly chances: readonly number[], readonly kl: number } {
  const largest = Math.max(...keys)
  const weights = keys.map(key => Math.exp(strength * (key - largest)))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const chances = weights.map(weight => weight / total)
  return {
    chances, kl: chances.reduce((sum, chance) => sum + (chance > 0 ? chance * Math.log(chance * keys.length) : 0), 0)
  }
}

/** Strengths that `softBest` looks among end here, where it is as good as best-of-n. */
const strongest = 100

/**
 * Soft best-of-n over whole pools (Verdun et al. 2025, arXiv 2505.03156), at the one strength whose KL, pooled and on
 * average over prompts, is `nats`: the same for all prompts. A pool of N answers can have no more than ln N.
 * @param keys what it goes by @param values whose gain over the pool's mean is asked for
 */
export function softBest (
  keys: ReadonlyArray<readonly number[]>, values: ReadonlyArray<readonly number[]>, nats: number
): { readonly strength: number, readonly gains: number[] } {
  const strength = strongest * largestShare(share => mean(keys.map(own => tilted(own, strongest * share).kl)) <= nats)
  return {
    strength,
    gains: keys.map((own, index) => tilted(own,
      strength).chances.reduce((sum, chance, at) => sum + chance * values[index]![at]!, 0) - mean(values[index]!))
  }
}
