/** Rules that choose among scored answers, and what they cost in KL to the policy. */
import type { KlReport, Random } from './runtime.js'

/**
 * Indices of the n best rewards, best first, ties by lower index.
 * @param rewards one per answer
 */
export function selectArgmax (rewards: readonly number[], n: number): number[] {
  return rewards.map((_, index) => index).sort((a, b) => rewards[b]! - rewards[a]! || a - b).slice(0, n)
}

/** Probabilities ∝ exp(strength · reward): soft best-of-N (Verdun et al. 2025, arXiv 2505.03156). */
export function softmaxWeights (rewards: readonly number[], strength: number): number[] {
  const scaled = rewards.map(reward => strength * reward)
  const largest = Math.max(...scaled)
  const weights = scaled.map(value => Math.exp(value - largest))
  const sum = weights.reduce((total, weight) => total + weight, 0)
  return weights.map(weight => weight / sum)
}

/** n indices drawn without replacement, each time ∝ the weights that are left. */
export function selectSoftmax (weights: readonly number[], n: number, random: Random): number[] {
  const left = weights.map((weight, index) => ({ weight, index }))
  return Array.from({ length: n }, () => {
    const u = random.next() * left.reduce((sum, one) => sum + one.weight, 0)
    let mass = 0
    const found = left.findIndex(one => { mass += one.weight; return u < mass })
    // Where rounding left nothing, the last one that is left.
    return left.splice(found, 1)[0]!.index
  })
}

/** Upper bound of the KL of best-of-n to the policy, nats: ln n − (n − 1)/n (Beirami et al. 2024, arXiv 2401.01879). */
export const bestOfNKl = (n: number): number => Math.log(n) - (n - 1) / n

/** KL of a selection with weights w among n samples: at most ln n − E[H(w)], which one request only estimates. */
export function softmaxKl (weights: readonly number[]): KlReport {
  const entropy = weights.reduce((sum, weight) => weight > 0 ? sum - weight * Math.log(weight) : sum, 0)
  return { value: Math.max(0, Math.log(weights.length) - entropy), kind: 'bound_estimate' }
}
