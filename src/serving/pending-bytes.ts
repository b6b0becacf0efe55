/** Memory that requests hold while they are received, run or wait: bounded in all, and for each caller. */
import { ByteBudget } from '../byte-budget.js'
import { RequestError } from '../errors.js'

/** Share of the whole that one caller may hold; one request is let in however large it is, if the whole has room. */
const callerShare = 1 / 4

export class PendingBytes {
  readonly #budget: ByteBudget

  /** @param most bytes in all */
  constructor (most: number) {
    this.#budget = new ByteBudget({ perCaller: Math.floor(most * callerShare), total: most })
  }

  /** Bytes in all. */
  get total (): number { return this.#budget.total }

  /**
   * Counts a request. @returns what ends that; may be called more than once
   * @throws RequestError rate_limit_exceeded at a limit
   */
  take (caller: string, bytes: number): () => void {
    this.#refuse(caller, bytes)
    this.#budget.add(caller, bytes)
    let held = true
    return () => {
      if (held) this.#budget.add(caller, -bytes)
      held = false
    }
  }

  #refuse (caller: string, bytes: number): void {
    const { limits: { perCaller, total: most }, total } = this.#budget
    const full = (what: string, limit: number): RequestError => new RequestError('rate_limit_exceeded',
      `requests that are received, run or wait may hold ${limit} bytes ${what} (max-pending-request-bytes); this one ` +
        `has ${bytes} more`, { retryAfterMs: 1000 })
    const own = this.#budget.held(caller)
    if (own > 0 && own + bytes > perCaller) throw full('for one caller', perCaller)
    if (total > 0 && total + bytes > most) throw full('in all', most)
  }
}
