/** From times to rates. Pure. */
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
