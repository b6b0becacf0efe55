/** Repeated measurements: their median, least and largest value, and ratios of what was measured in turns. Pure. */

/** Least, median and largest of several repetitions. */
export interface Spread { readonly median: number, readonly least: number, readonly most: number }

/** Of at least one value; of an even number the median is the mean of the middle two. */
export function spreadOf (values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('a spread needs at least one value')
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, least: sorted[0]!, most: sorted.at(-1)! }
}

/**
 * Ours over theirs, turn by turn: what slows both down for a while leaves a ratio alone. Turns that only one had do not
 * count; null without any that both had.
 */
export function ratioOf (ours: readonly number[], theirs: readonly number[]): Spread | null {
  const turns = Math.min(ours.length, theirs.length)
  return turns === 0 ? null : spreadOf(ours.slice(0, turns).map((value, turn) => value / theirs[turn]!))
}

/** The nearest-rank quantile: the smallest value that a share of the values do not exceed. */
export const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)]!

/** `1.42 (1.30–1.55)` */
export const showSpread = ({ median, least, most }: Spread, digits = 2): string =>
  `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
