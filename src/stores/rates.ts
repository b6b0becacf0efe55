/**
 * How much callers may have a minute, wherever it is counted: buckets that hold a minute's worth, fill evenly and may
 * be overdrawn, since what a request takes is known when it has ended.
 */

/** What of a caller is counted. */
export type Counted = 'requests' | 'tokens'

/** A bucket at one moment. */
export interface RateState {
  /** What may be had a minute, and at once. */
  readonly limit: number
  /** What is left: at least 0. */
  readonly remaining: number
  /** Until all of it is there again, ms. */
  readonly resetMs: number
  /** Until one can be had, ms; 0 where it can be now. */
  readonly waitMs: number
}

/**
 * The bucket of a caller. `take` and `look` throw RequestError store_unavailable where it is counted in a shared store
 * that cannot be reached.
 */
export interface Rate {
  /** Takes one where one can be had. @returns the bucket before (`waitMs`) and after (all else) */
  take (): Promise<RateState>
  look (): Promise<RateState>
  /** Takes what was used, whether or not it is there. Never fails: what cannot be counted now is counted later. */
  spend (amount: number): void
}

/** The buckets of all callers. */
export interface Rates {
  /** @param limit what may be had a minute */
  of (caller: string, counted: Counted, limit: number): Rate
}

const minuteMs = 60_000

/** What a bucket's level says. @param before the level before one was taken */
export function rateState (limit: number, level: number, before = level): RateState {
  return {
    limit,
    remaining: Math.max(0, Math.floor(level)),
    resetMs: (limit - level) * minuteMs / limit,
    waitMs: Math.ceil(Math.max(0, 1 - before) * minuteMs / limit)
  }
}
