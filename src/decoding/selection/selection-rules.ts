/** Rules that choose among scored answers, and what they cost in KL to the policy. Pure: rewards in, indices out. */
import { largestShare } from './bisection.js'
import type { Random } from '../../policies/random-stream.js'
import type { KlReport } from '../result.js'

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

/**
 * Weights of softmax selection whose KL, as far as one request can estimate it (`softmaxKl`), is at most so many nats:
 * the strength is scaled down, by bisection, as far as that takes.
 */
export function softmaxWeightsWithin (rewards: readonly number[], strength: number, max: number): number[] {
  const at = (share: number): number[] => softmaxWeights(rewards, strength * share)
  return at(largestShare(share => softmaxKl(at(share)).value! <= max))
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

/**
 * How inference-time pessimism weighs answers (Huang et al. 2025, arXiv 2503.21878): w_i = max(0, s_i − λ) with s_i =
 * strength · reward_i and λ such that the weights have mean 1. Weight grows linearly with the reward, not
 * exponentially: a reward that is wrong where it is large does less harm.
 */
export function pessimisticWeights (rewards: readonly number[], strength: number): number[] {
  const scaled = rewards.map(reward => strength * reward)
  const descending = [...scaled].sort((a, b) => b - a)
  // With the k largest above λ: Σ (s_i − λ) = n.
  let sum = 0
  let lambda = 0
  for (const [index, value] of descending.entries()) {
    sum += value
    lambda = (sum - rewards.length) / (index + 1)
    if (lambda >= (descending[index + 1] ?? -Infinity)) break
  }
  return scaled.map(value => Math.max(0, value - lambda))
}

/**
 * Rejection sampling over answers in order: i is taken with probability w_i over the largest weight, so the best is
 * never passed over.
 */
export function selectByRejection (weights: readonly number[], random: Random): number {
  const envelope = Math.max(...weights)
  return weights.findIndex(weight => random.next() * envelope < weight)
}

/**
 * Expected best of n of these rewards drawn without replacement: an unbiased estimate, from one pool, of what best-of-n
 * of any smaller n gives. Σ over i ≥ n of C(i − 1, n − 1) / C(N, n) · the i-th smallest.
 * @param n from 1 to the number of rewards
 */
export function expectedBest (rewards: readonly number[], n: number): number {
  const ascending = [...rewards].sort((a, b) => a - b)
  let weight = n / rewards.length
  let sum = 0
  for (let rank = rewards.length; rank >= n; rank--) {
    sum += weight * ascending[rank - 1]!
    weight *= (rank - n) / (rank - 1 || 1)
  }
  return sum
}

/** Mean cosine of each vector with all, itself included; 0 for and with a vector of zeros, as an empty answer has. */
export function meanSimilarities (vectors: readonly Float32Array[]): number[] {
  const units = vectors.map(vector => {
    const norm = Math.hypot(...vector)
    return vector.map(value => norm === 0 ? 0 : value / norm)
  })
  const sum = units[0]!.map((_, at) => units.reduce((total, unit) => total + unit[at]!, 0))
  return units.map(unit => unit.reduce((total, value, at) => total + value * sum[at]!, 0) / units.length)
}

/** Upper bound of the KL of best-of-n to the policy, nats: ln n − (n − 1)/n (Beirami et al. 2024, arXiv 2401.01879). */
export const bestOfNKl = (n: number): number => Math.log(n) - (n - 1) / n

/** KL of a selection with weights w among n samples: at most ln n − E[H(w)], which one request only estimates. */
export function softmaxKl (weights: readonly number[]): KlReport {
  const entropy = weights.reduce((sum, weight) => weight > 0 ? sum - weight * Math.log(weight) : sum, 0)
  return { value: Math.max(0, Math.log(weights.length) - entropy), kind: 'bound_estimate' }
}
