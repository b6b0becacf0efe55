/** From times to rates, and from rates measured in turn to ratios. Pure. */
import type { Scenario } from './scenarios.js'

/** When a measurement had its first and its last tokens, ms. */
export interface Times { readonly firstMs: number, readonly totalMs: number }

/** Tokens per second. */
export interface Rates {
  /** New tokens of all candidates over the whole time: what a user waits for. */
  readonly request: number
  /** New tokens after the first ones over the time after them; null where there is only one each. */
  readonly decode: number | null
  /** Prompt tokens over the time to the first new ones. */
  readonly prefill: number
}

export function ratesOf ({ candidates, promptTokens, newTokens }: Scenario, { firstMs, totalMs }: Times): Rates {
  return {
    request: candidates * newTokens / totalMs * 1e3,
    decode: newTokens > 1 ? candidates * (newTokens - 1) / (totalMs - firstMs) * 1e3 : null,
    prefill: promptTokens / firstMs * 1e3
  }
}

export interface Spread { readonly median: number, readonly least: number, readonly most: number }

/** Of at least one value; of an even number the median is the mean of the middle two. */
export function spreadOf (values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('a spread needs at least one value')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, least: sorted[0]!, most: sorted.at(-1)! }
}

/** Ours over theirs, alternation by alternation: what slows both down for a while leaves a ratio alone. */
export function ratioOf (ours: readonly number[], theirs: readonly number[]): Spread {
  if (ours.length !== theirs.length) {
    throw new Error(`ratios are of the same alternations; got ${ours.length} and ${theirs.length}`)
  }
  return spreadOf(ours.map((rate, index) => rate / theirs[index]!))
}
