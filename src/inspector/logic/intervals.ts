/** Confidence intervals, as every view states them. */

/** Bounds of an interval. */
export type Interval = readonly [low: number, high: number]

const z = 1.959964

/** Wilson's 95 % interval of a share. @param wins successes of `n` */
export function wilson (wins: number, n: number): Interval {
  if (n === 0) return [0, 1]
  const share = wins / n
  const centre = (share + z * z / (2 * n)) / (1 + z * z / n)
  const half = z / (1 + z * z / n) * Math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
  return [Math.max(0, centre - half), Math.min(1, centre + half)]
}

/** 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom. */
const quantiles = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145,
  2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042]

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** The 95 % interval of a mean (t); null below four values, which say too little. */
export function meanInterval (values: readonly number[]): Interval | null {
  if (values.length < 4) return null
  const centre = mean(values)
  const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1)
  const half = (quantiles[values.length - 2] ?? z) * Math.sqrt(variance / values.length)
  return [centre - half, centre + half]
}

/** Share of distinct ones among a text's pairs of neighbouring words; null where there are none. */
export function distinctPairs (text: string): number | null {
  const words = text.toLowerCase().match(/[\p{L}\p{N}’']+/gu) ?? []
  const pairs = words.slice(1).map((word, index) => `${words[index]} ${word}`)
  return pairs.length === 0 ? null : new Set(pairs).size / pairs.length
}
