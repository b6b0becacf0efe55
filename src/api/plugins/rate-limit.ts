/**
 * How much may be had a minute: a bucket that fills evenly and may be overdrawn, since what a request takes is known
 * when it has ended.
 */

const minuteMs = 60_000

/** A bucket that holds a minute's worth and fills evenly. */
export class RateLimit {
  /** What may be had a minute, and at once. */
  readonly limit: number
  readonly #now: () => number
  #level: number
  #filledAt: number

  /** @param now ms since some moment */
  constructor (limit: number, now: () => number = () => performance.now()) {
    this.limit = limit
    this.#now = now
    this.#level = limit
    this.#filledAt = now()
  }

  #fill (): number {
    const now = this.#now()
    this.#level = Math.min(this.limit, this.#level + (now - this.#filledAt) * this.limit / minuteMs)
    this.#filledAt = now
    return this.#level
  }

  /** What is left: at least 0. */
  get remaining (): number { return Math.max(0, Math.floor(this.#fill())) }

  /** Until all of it is there again, ms. */
  get resetMs (): number { return (this.limit - this.#fill()) * minuteMs / this.limit }

  /** Until one can be had, ms; 0 where it can be now. */
  get waitMs (): number { return Math.ceil(Math.max(0, 1 - this.#fill()) * minuteMs / this.limit) }

  spend (amount: number): void { this.#level = this.#fill() - amount }
}

/** A duration as OpenAI's headers have it: `12ms`, `7.5s`, `6m0s`. */
export function durationText (ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`
  const seconds = Math.ceil(ms / 100) / 10
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${Math.round(seconds % 60)}s`
}

/** OpenAI's headers of the limits there are. @param limits by what they count */
export function rateHeaders (limits: Readonly<Record<string, RateLimit | null>>): Record<string, string> {
  return Object.fromEntries(Object.entries(limits).flatMap(([what, limit]) => limit === null
    ? []
    : [[`x-ratelimit-limit-${what}`, String(limit.limit)], [`x-ratelimit-remaining-${what}`, String(limit.remaining)],
        [`x-ratelimit-reset-${what}`, durationText(limit.resetMs)]]))
}
