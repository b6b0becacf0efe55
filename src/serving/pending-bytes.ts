/** Memory that requests hold while they run or wait: bounded in all, and for each caller. */
import { RequestError } from '../errors.js'

/** Share of the whole that one caller may hold; one request is let in however large it is, if the whole has room. */
const callerShare = 1 / 4

export class PendingBytes {
  readonly #most: number
  readonly #held = new Map<string, number>()
  #total = 0

  /** @param most bytes in all */
  constructor (most: number) { this.#most = most }

  /** Bytes in all. */
  get total (): number { return this.#total }

  /**
   * Counts a request. @returns what ends that; may be called more than once
   * @throws RequestError rate_limit_exceeded at a limit
   */
  take (caller: string, bytes: number): () => void {
    this.#refuse(this.#held.get(caller) ?? 0, bytes)
    this.#add(caller, bytes)
    let held = true
    return () => {
      if (held) this.#add(caller, -bytes)
      held = false
    }
  }

  #refuse (own: number, bytes: number): void {
    const most = Math.floor(this.#most * callerShare)
    const full = (what: string, limit: number): RequestError => new RequestError('rate_limit_exceeded',
      `requests that run or wait may hold ${limit} bytes ${what} (max-pending-request-bytes); this one has ${bytes} more`,
      { retryAfterMs: 1000 })
    if (own > 0 && own + bytes > most) throw full('for one caller', most)
    if (this.#total > 0 && this.#total + bytes > this.#most) throw full('in all', this.#most)
  }

  #add (caller: string, bytes: number): void {
    this.#total += bytes
    const own = (this.#held.get(caller) ?? 0) + bytes
    if (own === 0) this.#held.delete(caller)
    else this.#held.set(caller, own)
  }
}
