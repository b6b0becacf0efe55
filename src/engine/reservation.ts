/**
 * Who may start: requests reserve their whole fan-out before they open anything, so that none is stuck half-way. First come, first
 * served.
 */
import { RequestError } from '../errors.js'

export interface Need {
  /** Sequences open at the same time, at most. */
  readonly sequences: number
  /** Tokens that each can grow to, prompt included. */
  readonly tokensPerSequence: number
}

export interface Limits {
  readonly maxSequences: number
  readonly maxKvTokens: number
  readonly contextLength: number
  readonly maxQueued: number
}

export interface Reservation {
  /** Gives it back. Idempotent. */
  release (): void
}

/** The reason of an abort, as an Error. */
function abortError (signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted')
}

interface Waiting { readonly need: Need, readonly grant: () => void }

export class ReservationQueue {
  readonly #limits: Limits
  readonly #waiting: Waiting[] = []
  #sequences = 0
  #tokens = 0
  #running = 0

  constructor (limits: Limits) { this.#limits = limits }

  get waiting (): number { return this.#waiting.length }
  get running (): number { return this.#running }

  /**
   * Waits for room.
   * @throws RequestError `context_length_exceeded` or `budget_exceeded` for what never fits, `rate_limit_exceeded` for a full queue;
   * the signal's reason if it is aborted while it waits
   */
  async reserve (need: Need, signal?: AbortSignal): Promise<Reservation> {
    this.#refuse(need)
    signal?.throwIfAborted()
    if (this.#waiting.length > 0 || !this.#fits(need)) await this.#wait(need, signal)
    else this.#take(need)
    let held = true
    return {
      release: () => {
        if (!held) return
        held = false
        this.#give(need)
      }
    }
  }

  #refuse ({ sequences, tokensPerSequence }: Need): void {
    const { maxSequences, maxKvTokens, contextLength } = this.#limits
    if (tokensPerSequence > contextLength) throw new RequestError('context_length_exceeded', `prompt and answer together may have ${contextLength} tokens; asked for ${tokensPerSequence}`)
    if (sequences > maxSequences) throw new RequestError('budget_exceeded', `a request may hold ${maxSequences} sequences at a time (max-sequences); this one needs ${sequences}`)
    if (sequences * tokensPerSequence > maxKvTokens) throw new RequestError('budget_exceeded', `a request may reserve ${maxKvTokens} tokens of KV (max-kv-tokens); this one needs ${sequences} × ${tokensPerSequence}`)
  }

  #fits ({ sequences, tokensPerSequence }: Need): boolean {
    return this.#sequences + sequences <= this.#limits.maxSequences && this.#tokens + sequences * tokensPerSequence <= this.#limits.maxKvTokens
  }

  #take ({ sequences, tokensPerSequence }: Need): void {
    this.#sequences += sequences
    this.#tokens += sequences * tokensPerSequence
    this.#running++
  }

  #give ({ sequences, tokensPerSequence }: Need): void {
    this.#sequences -= sequences
    this.#tokens -= sequences * tokensPerSequence
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
      throw new RequestError('rate_limit_exceeded', `${this.#waiting.length} requests are waiting already (max-queued-requests)`, { retryAfterMs: 1000 })
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const index = this.#waiting.indexOf(entry)
        if (index >= 0) this.#waiting.splice(index, 1)
        this.#grantNext()
        reject(abortError(signal))
      }
      const entry = { need, grant: () => { signal?.removeEventListener('abort', leave); resolve() } }
      this.#waiting.push(entry)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }
}
