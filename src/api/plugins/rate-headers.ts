/** What answers tell of a caller's rates, as OpenAI's headers have it. */
import type { RateState } from '../../stores/rates.js'

/** A duration as OpenAI's headers have it: `12ms`, `7.5s`, `6m0s`. */
export function durationText (ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`
  const seconds = Math.ceil(ms / 100) / 10
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${Math.round(seconds % 60)}s`
}

/** OpenAI's headers of the rates there are. @param rates by what they count */
export function rateHeaders (rates: Readonly<Record<string, RateState | null>>): Record<string, string> {
  return Object.fromEntries(Object.entries(rates).flatMap(([what, rate]) => rate === null
    ? []
    : [[`x-ratelimit-limit-${what}`, String(rate.limit)], [`x-ratelimit-remaining-${what}`, String(rate.remaining)],
        [`x-ratelimit-reset-${what}`, durationText(rate.resetMs)]]))
}
