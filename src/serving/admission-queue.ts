/**
 * The queue that grants an engine's KV. Among demands of one priority callers take turns; each caller's own are granted
 * in their order.
 */
import type { KvBudget, KvDemand, Reservation } from '../engine/model-runtime.js'
import { RequestError } from '../errors.js'
import { FairQueue } from '../fair-queue.js'

/** What an engine's budget is made of. */
export interface KvLimits {
  readonly maxTokens: number
  readonly bytesPerToken: number
  readonly contextLength: number
  /** Requests that may wait. */
  readonly maxQueued: number
  /** The setting that maxTokens comes from, for errors. */
  readonly setting: string
}

const tokensOf = ({ sequences, tokens, sharedTokens = 0, extraTokens = 0 }: KvDemand): number =>
  sharedTokens + sequences * tokens + extraTokens

interface Waiting {
  readonly demand: KvDemand
  readonly signal: AbortSignal | undefined
  readonly grant: (pool: Pool) => void
}

/** Share of the queue that one caller's requests may take, so that there is a place for others. */
const callerShare = 3 / 4

/**
 * Beside the budget, as a share of it: KV for callers that hold none. However much others hold, and for how long, a
 * plain request of somebody else starts.
 */
const guestShare = 1 / 8

/** What is reserved of one limit. */
class Pool {
  readonly #maxTokens: number
  #tokens = 0

  constructor (maxTokens: number) { this.#maxTokens = maxTokens }

  fits (demand: KvDemand): boolean { return this.#tokens + tokensOf(demand) <= this.#maxTokens }
  take (demand: KvDemand): void { this.#tokens += tokensOf(demand) }
  giveBack (demand: KvDemand): void { this.#tokens -= tokensOf(demand) }
}

const callerOf = ({ caller = '' }: KvDemand): string => caller

/**
 * The KV budget of one engine: grants what is demanded by priority, callers in turn. A caller that holds nothing need
 * not wait for what others hold, as long as the guests' pool has room.
 */
export class AdmissionQueue implements KvBudget {
  readonly #limits: KvLimits
  readonly #waiting = new FairQueue<Waiting>()
  readonly #pool: Pool
  readonly #guests: Pool
  /** Reservations that each caller holds. */
  readonly #held = new Map<string, number>()
  #running = 0

  constructor (limits: KvLimits) {
    this.#limits = limits
    this.#pool = new Pool(limits.maxTokens)
    this.#guests = new Pool(Math.floor(limits.maxTokens * guestShare))
  }

  get maxTokens (): number { return this.#limits.maxTokens }
  get waiting (): number { return this.#waiting.length }
  get running (): number { return this.#running }

  reserve (demand: KvDemand, signal?: AbortSignal): Promise<Reservation> {
    this.#refuse(demand)
    signal?.throwIfAborted()
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(entry)
        this.#grantNext()
        reject(signal!.reason instanceof Error ? signal!.reason : new Error('aborted'))
      }
      const grant = (pool: Pool): void => {
        signal?.removeEventListener('abort', leave)
        resolve(this.#take(demand, pool))
      }
      const entry: Waiting = { demand, signal, grant }
      this.#waiting.add(entry, { caller: callerOf(demand), cost: tokensOf(demand), priority: demand.priority ?? 0 })
      signal?.addEventListener('abort', leave, { once: true })
      this.#grantNext()
    })
  }

  /** Refuses what never fits, and what would have to wait in a full queue. */
  #refuse (demand: KvDemand): void {
    const { maxTokens, bytesPerToken, contextLength, setting } = this.#limits
    const { sequences, tokens, sharedTokens = 0, extraTokens = 0 } = demand
    if (sharedTokens + tokens > contextLength) {
      throw new RequestError('context_length_exceeded',
        `This model's maximum context length is ${contextLength} tokens; you requested ${sharedTokens + tokens} ` +
        '(prompt + answer)')
    }
    if (tokensOf(demand) > maxTokens) {
      const sum = `${sharedTokens === 0 ? '' : `${sharedTokens} + `}${sequences} × ${tokens}` +
        `${extraTokens === 0 ? '' : ` + ${extraTokens}`}`
      throw new RequestError('budget_exceeded', `a request may reserve ${maxTokens} tokens of KV, ${bytesPerToken} ` +
        `bytes each (${setting}); this one needs ${sum} = ${tokensOf(demand)}`)
    }
    if (!this.#startsAtOnce(demand)) this.#refuseInFullQueue(callerOf(demand))
  }

  #startsAtOnce (demand: KvDemand): boolean {
    return (this.waiting === 0 && this.#pool.fits(demand)) || this.#fitsAsGuest(demand)
  }

  #refuseInFullQueue (caller: string): void {
    const { maxQueued } = this.#limits
    const [own, most] = [this.#waiting.waitingOf(caller), Math.ceil(maxQueued * callerShare)]
    const isFull = this.waiting >= maxQueued
    if (!isFull && own < most) return
    throw new RequestError('rate_limit_exceeded', isFull
      ? `${this.waiting} requests are waiting already (max-queued-requests)`
      : `${own} of your requests are waiting already: one caller may have ${most} of the ${maxQueued} places ` +
        '(max-queued-requests)', { retryAfterMs: 1000 })
  }

  #fitsAsGuest (demand: KvDemand): boolean { return !this.#held.has(callerOf(demand)) && this.#guests.fits(demand) }

  #take (demand: KvDemand, pool: Pool): Reservation {
    const caller = callerOf(demand)
    pool.take(demand)
    this.#held.set(caller, (this.#held.get(caller) ?? 0) + 1)
    this.#running++
    let held = true
    return {
      release: () => {
        if (!held) return
        held = false
        pool.giveBack(demand)
        const left = this.#held.get(caller)! - 1
        if (left === 0) this.#held.delete(caller)
        else this.#held.set(caller, left)
        this.#running--
        this.#grantNext()
      }
    }
  }

  /**
   * Grants in order until one does not fit; behind it only guests start, out of their own pool. An abort may take
   * several out of the queue, one after the other: none of them is granted what the first leaves.
   */
  #grantNext (): void {
    let isBlocked = false
    for (const next of this.#waiting) {
      if (next.signal?.aborted) continue
      isBlocked ||= !this.#pool.fits(next.demand)
      const pool = !isBlocked ? this.#pool : this.#fitsAsGuest(next.demand) ? this.#guests : null
      if (!pool) continue
      this.#waiting.serve(next)
      next.grant(pool)
    }
  }
}
