/** Bytes that the server holds for its callers, bounded for each and in all: none can fill what others need. */

export interface ByteLimits {
  readonly perCaller: number
  readonly total: number
}

export class ByteBudget {
  readonly limits: ByteLimits
  readonly #held = new Map<string, number>()
  #total = 0

  constructor (limits: ByteLimits) { this.limits = limits }

  /** Held for all callers. */
  get total (): number { return this.#total }

  /** Held for a caller. */
  held (caller: string): number { return this.#held.get(caller) ?? 0 }

  /** Bytes more that may be held for a caller. */
  room (caller: string): number {
    const { perCaller, total } = this.limits
    return Math.min(perCaller - this.held(caller), total - this.#total)
  }

  /** Counts bytes without asking whether there is room; negative ones are held no more. */
  add (caller: string, bytes: number): void {
    const held = this.held(caller) + bytes
    if (held === 0) this.#held.delete(caller)
    else this.#held.set(caller, held)
    this.#total += bytes
  }
}
