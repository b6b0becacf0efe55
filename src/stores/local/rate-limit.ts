/** Buckets of callers in this process's memory. */
import { rateState, type Rate, type Rates, type RateState } from '../rates.js'

const minuteMs = 60_000

/** A bucket that holds a minute's worth and fills evenly. */
export class RateLimit implements Rate {
  readonly #limit: number
  readonly #now: () => number
  #level: number
  #filledAt: number

  /** @param now ms since some moment */
  constructor (limit: number, now: () => number = () => performance.now()) {
    this.#limit = limit
    this.#now = now
    this.#level = limit
    this.#filledAt = now()
  }

  #fill (): number {
    const now = this.#now()
    this.#level = Math.min(this.#limit, this.#level + (now - this.#filledAt) * this.#limit / minuteMs)
    this.#filledAt = now
    return this.#level
  }

  async take (): Promise<RateState> {
    const before = this.#fill()
    if (before >= 1) this.spend(1)
    return rateState(this.#limit, this.#level, before)
  }

  async look (): Promise<RateState> { return rateState(this.#limit, this.#fill()) }

  spend (amount: number): void { this.#level = this.#fill() - amount }
}

export const localRates: Rates = { of: (_caller, _counted, limit) => new RateLimit(limit) }
