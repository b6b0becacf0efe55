/** How good a reward is on held-out data. Plain statistics: numbers in, numbers out. */
import { sigmoid } from './linear-fit.js'

/** A share with its standard error over clusters. */
export interface Share { readonly value: number, readonly standardError: number }

/**
 * Per sample: 1 where margin and label (+1 or −1) agree in sign, 0 where not, ½ where the margin is 0. For a pair the
 * margin is score(chosen) − score(rejected) and the label +1.
 */
export function correctness (margins: readonly number[], labels: readonly number[]): number[] {
  return margins.map((margin, index) => margin === 0 ? 0.5 : Number(margin * labels[index]! > 0))
}

/**
 * Mean with the standard error of a cluster sample (linearised ratio): √(C/(C−1) · Σ_c (Σ_i∈c (x_i − mean))²) / N.
 * Items of one cluster, such as pairs of one instruction, are not independent. One cluster gives an infinite error.
 */
export function clusteredMean (values: readonly number[], clusters: readonly string[]): Share {
  const value = values.reduce((sum, one) => sum + one, 0) / values.length
  const sums = new Map<string, number>()
  for (const [index, one] of values.entries()) {
    sums.set(clusters[index]!, (sums.get(clusters[index]!) ?? 0) + one - value)
  }
  const count = sums.size
  if (count < 2) return { value, standardError: Infinity }
  let squares = 0
  for (const sum of sums.values()) squares += sum * sum
  return { value, standardError: Math.sqrt(count / (count - 1) * squares) / values.length }
}

/**
 * Area under the ROC curve: the chance that an item of label +1 scores above one of label −1, ties ½. NaN where a label
 * is absent.
 */
export function areaUnderCurve (scores: readonly number[], labels: readonly number[]): number {
  const positives = labels.filter(label => label === 1).length
  const rankSum = ranks(scores).reduce((sum, rank, index) => labels[index] === 1 ? sum + rank : sum, 0)
  return (rankSum - positives * (positives - 1) / 2) / (positives * (labels.length - positives))
}

/**
 * Expected calibration error of σ(logit) against labels +1 and −1: Σ_bins share · |mean probability − share of label
 * +1|, ten equal-width bins.
 */
export function calibrationError (logits: readonly number[], labels: readonly number[]): number {
  const bins = Array.from({ length: 10 }, () => ({ probability: 0, label: 0 }))
  for (const [index, logit] of logits.entries()) {
    const probability = sigmoid(logit)
    const bin = bins[Math.min(9, Math.floor(probability * 10))]!
    bin.probability += probability
    bin.label += labels[index] === 1 ? 1 : 0
  }
  return bins.reduce((sum, bin) => sum + Math.abs(bin.probability - bin.label), 0) / logits.length
}

/** Four decimals: more than any figure on held-out data is known to. */
export const rounded = (value: number): number => Number(value.toFixed(4))

/** Seven significant digits: what float32 states are known to. */
export const significant = (value: number): number => Number(value.toPrecision(7))

/** Mean and standard deviation (population). */
export function meanAndStd (values: readonly number[]): { mean: number, std: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return { mean, std: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) }
}

/** Ranks from 0, equal values sharing the mean of theirs. */
function ranks (values: readonly number[]): number[] {
  const order = values.map((_value, index) => index).sort((a, b) => values[a]! - values[b]!)
  const rank = new Array<number>(values.length)
  for (let start = 0; start < order.length;) {
    let end = start
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++
    for (let at = start; at < end; at++) rank[order[at]!] = (start + end - 1) / 2
    start = end
  }
  return rank
}

/** Spearman's rank correlation: −1 to 1; 0 where one side is constant. */
export function rankCorrelation (some: readonly number[], others: readonly number[]): number {
  const [a, b] = [ranks(some), ranks(others)]
  const [{ mean, std }, { std: otherStd }] = [meanAndStd(a), meanAndStd(b)]
  if (std === 0 || otherStd === 0) return 0
  return a.reduce((sum, rank, index) => sum + (rank - mean) * (b[index]! - mean), 0) / (a.length * std * otherStd)
}
