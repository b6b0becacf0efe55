/**
 * From a decomposed reward to one user's: a head and the directions its training pairs differ along, weighed by how
 * well each ranks a few pairs of the user (Luo et al. 2025, arXiv 2502.13131, whose rule for weights is HyRe's:
 * Lee et al. 2024, arXiv 2412.08812). Knows states, not how they are read.
 */
import { columnScale, softplus } from '../statistics/linear-fit.js'
import { linearScore } from '../rewards/kinds/head.js'
import { correctness, meanAndStd } from '../statistics/metrics.js'
import { normal, uniform } from '../statistics/random.js'

/** A linear score of a raw state. */
export interface LinearHead { readonly weights: Float64Array, readonly bias: number }

/** States of whole answers, the better one first. */
export interface StatePair { readonly chosen: Float32Array, readonly rejected: Float32Array }

/** Each direction and its opposite: the user decides which is better. */
export function withOpposites (directions: readonly Float64Array[]): LinearHead[] {
  return directions.flatMap(weights => [{ weights, bias: 0 }, { weights: weights.map(weight => -weight), bias: 0 }])
}

/**
 * Σ share · (head − mean)/std, the shares a softmax of −Σ −ln σ(standardised margin), mean and spread over the pairs'
 * own answers.
 * @param pairs at least one
 */
export function mixHeads (
  heads: readonly LinearHead[], pairs: readonly StatePair[]
): { readonly head: LinearHead, readonly shares: readonly number[] } {
  const figures = heads.map(({ weights, bias }) => {
    const scores = pairs.flatMap(({ chosen, rejected }) =>
      [linearScore(weights, bias, chosen), linearScore(weights, bias, rejected)])
    const { mean, std } = meanAndStd(scores)
    const scale = std > 0 ? std : 1
    const loss =
      pairs.reduce((sum, _pair, index) => sum + softplus((scores[2 * index + 1]! - scores[2 * index]!) / scale), 0)
    return { mean, scale, loss }
  })
  const minLoss = Math.min(...figures.map(({ loss }) => loss))
  const raw = figures.map(({ loss }) => Math.exp(minLoss - loss))
  const total = raw.reduce((sum, one) => sum + one, 0)
  const shares = raw.map(one => one / total)
  const weights = new Float64Array(heads[0]!.weights.length)
  let bias = 0
  for (const [index, head] of heads.entries()) {
    const { mean, scale } = figures[index]!
    const share = shares[index]! / scale
    for (let i = 0; i < weights.length; i++) weights[i]! += share * head.weights[i]!
    bias += share * (head.bias - mean)
  }
  return { head: { weights, bias }, shares }
}

/**
 * As many heads as given ones, of random weights on the pairs' standardised states: what adapting is worth without
 * knowing anything.
 */
export function randomHeads (count: number, pairs: readonly StatePair[], seed: number): LinearHead[] {
  const random = uniform(seed)
  const { std } = columnScale(pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]))
  return Array.from({ length: count }, () => ({ weights: std.map(one => normal(random) / one), bias: 0 }))
}

/** Share of pairs that a head ranks correctly, ties ½. @param pairs at least one */
export function pairAccuracy ({ weights, bias }: LinearHead, pairs: readonly StatePair[]): number {
  const margins = pairs.map(({ chosen, rejected }) =>
    linearScore(weights, bias, chosen) - linearScore(weights, bias, rejected))
  return meanAndStd(correctness(margins, margins.map(() => 1))).mean
}

/** Accuracy on each pair of the head adapted to the others. @param pairs at least two */
export function leaveOneOut (heads: readonly LinearHead[], pairs: readonly StatePair[]): number {
  return pairs.reduce((sum, pair, index) =>
    sum + pairAccuracy(mixHeads(heads, pairs.filter((_, other) => other !== index)).head, [pair]), 0) / pairs.length
}
