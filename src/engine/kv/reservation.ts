/**
 * Who may start: requests reserve their whole fan-out before they open anything, so that none is stuck half-way. First
 * come, first served, among those of one priority.
 */
import { RequestError } from '../../errors.js'

/** What a request can come to hold, in sequences and tokens. */
export interface Need {
  /** Sequences open at the same time, at most. */
  readonly sequences: number
  readonly promptTokens: number
  /** Tokens that each sequence can grow by. */
  readonly answerTokens: number
  /** Whether the prompt's KV is stored once for all. */
  readonly sharesPrompt: boolean
  /** Tokens of other sequences that the request holds beside these. Default 0. */
  readonly besideTokens?: number
  /** Who waits with a lower one starts earlier. Default 0. */
  readonly priority?: number
}

/** What can be reserved in one engine. */
export interface Limits {
  /** Tokens of KV that may be reserved together. */
  readonly maxTokens: number
  readonly bytesPerToken: number
  readonly contextLength: number
  readonly maxQueued: number
  /** The setting that maxTokens comes from, for errors. */
  readonly setting: string
}

/** Room that was granted. */
export interface Reservation {
  /** Gives it back. Idempotent. */
  release (): void
}

/** Tokens of KV that a request can come to hold. */
const tokensOf = ({ sequences, promptTokens, answerTokens, sharesPrompt, besideTokens = 0 }: Need): number =>
  (sharesPrompt ? promptTokens : sequences * promptTokens) + sequences * answerTokens + besideTokens

/** The reason of an abort, as an Error. */
function abortError (signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted')
}

interface Waiting { readonly need: Need, readonly grant: () => void }

/** Grants room by priority, and in the order in which it is asked for. */
export class ReservationQueue {
  readonly #limits: Limits
  readonly #waiting: Waiting[] = []
  #tokens = 0
  #running = 0

  constructor (limits: Limits) { this.#limits = limits }

  get waiting (): number { return this.#waiting.length }
  get running (): number { return this.#running }

  /**
   * Takes its place in the queue, or refuses, at once.
   * @returns resolves when there is room; rejects with the signal's reason if it is aborted before that
   * @throws RequestError `context_length_exceeded` or `budget_exceeded` for what never fits, `rate_limit_exceeded` for
   * a full queue
   */
  reserve (need: Need, signal?: AbortSignal): Promise<Reservation> {
    this.#refuse(need)
    signal?.throwIfAborted()
    if (this.#waiting.length > 0 ||
        !this.#fits(need)) return this.#wait(need, signal).then(() => this.#granted(need, signal))
    this.#take(need)
    return Promise.resolve(this.#reservation(need))
  }

  /**
   * What was granted after a wait. An abort can grant it: what left the queue before it, with the same signal, made
   * room.
   */
  #granted (need: Need, signal: AbortSignal | undefined): Reservation {
    const reservation = this.#reservation(need)
    if (!signal?.aborted) return reservation
    reservation.release()
    throw abortError(signal)
  }

  /** What has been taken, to be given back once. */
  #reservation (need: Need): Reservation {
    let held = true
    return {
      release: () => {
        if (!held) return
        held = false
        this.#give(need)
      }
    }
  }

  /** What each sequence of a request can grow by, tokens, if it is alone: at least 0. */
  roomPerSequence (sequences: number, promptTokens: number, sharesPrompt: boolean): number {
    const room = sharesPrompt
      ? (this.#limits.maxTokens - promptTokens) / sequences
      : this.#limits.maxTokens / sequences - promptTokens
    return Math.max(0, Math.min(Math.floor(room), this.#limits.contextLength - promptTokens))
  }

  #refuse (need: Need): void {
    const { maxTokens, bytesPerToken, contextLength, setting } = this.#limits
    const { sequences, promptTokens, answerTokens, sharesPrompt, besideTokens = 0 } = need
    if (promptTokens + answerTokens > contextLength) {
      throw new RequestError('context_length_exceeded',
        `prompt and answer together may have ${contextLength} tokens; asked for ${promptTokens + answerTokens}`)
    }
    if (tokensOf(need) <= maxTokens) return
    const sum = sharesPrompt
      ? `${promptTokens} + ${sequences} × ${answerTokens}`
      : `${sequences} × ${promptTokens + answerTokens}`
    throw new RequestError('budget_exceeded',
      `a request may reserve ${maxTokens} tokens of KV, ${bytesPerToken} bytes each (${setting}); this one needs ` +
        `${sum}${besideTokens === 0 ? '' : ` + ${besideTokens}`} = ${tokensOf(need)}`)
  }

  #fits (need: Need): boolean { return this.#tokens + tokensOf(need) <= this.#limits.maxTokens }

  #take (need: Need): void {
    this.#tokens += tokensOf(need)
    this.#running++
  }

  #give (need: Need): void {
    this.#tokens -= tokensOf(need)
    this.#running--
    this.#grantNext()
  }

  #grantNext (): void {
    while (this.#waiting.length > 0 && this.#fits(this.#waiting[0]!.need)) {
      const { need, grant } = this.#waiting.shift()!
      this.#take(need)
      grant()
    }
  }

  #wait (need: Need, signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting.length >= this.#limits.maxQueued) {
      throw new RequestError('rate_limit_exceeded',
        `${this.#waiting.length} requests are waiting already (max-queued-requests)`, { retryAfterMs: 1000 })
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const index = this.#waiting.indexOf(entry)
        if (index >= 0) this.#waiting.splice(index, 1)
        this.#grantNext()
        reject(abortError(signal))
      }
      const entry = { need, grant: () => { signal?.removeEventListener('abort', leave); resolve() } }
      const later = this.#waiting.findIndex(other => (other.need.priority ?? 0) > (need.priority ?? 0))
      this.#waiting.splice(later < 0 ? this.#waiting.length : later, 0, entry)
      signal?.addEventListener('abort', leave, { once: true })
      this.#grantNext()
    })
  }
}
