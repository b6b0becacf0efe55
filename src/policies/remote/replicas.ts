/**
 * The replicas of one engine: which of them runs a call. Calls of one request go to one replica, which has their
 * prompt's KV (rendezvous hashing by session), and to the next in its order where that is full, busy or not well.
 */
import { createHash } from 'node:crypto'
import { RequestError } from '../../errors.js'
import type { Replica } from './replica.js'

interface Waiting { readonly order: readonly Replica[], readonly grant: (place: Place) => void }

/** A place for one call. */
export interface Place {
  readonly replica: Replica
  /** Idempotent. */
  release (): void
}

const weight = (session: string, { url }: Replica): string =>
  createHash('sha256').update(`${session} ${url}`).digest('hex')

export class Replicas {
  readonly all: readonly Replica[]
  /** Those who came first go first, where a replica of theirs has room. */
  readonly #waiting: Waiting[] = []

  constructor (all: readonly Replica[]) { this.all = all }

  /** The replicas in a session's order. */
  order (session: string): Replica[] {
    const weights = new Map(this.all.map(replica => [replica, weight(session, replica)]))
    return [...this.all].sort((a, b) => weights.get(a)! < weights.get(b)! ? -1 : 1)
  }

  /**
   * Waits for a place.
   * @param order as `order` gives it
   * @param avoided those that have just failed, taken only where there is no other
   * @throws RequestError unavailable where no replica is well; the signal's reason where it is aborted
   */
  async place (order: readonly Replica[], avoided: ReadonlySet<Replica>, signal: AbortSignal): Promise<Place> {
    signal.throwIfAborted()
    const well = await this.#well(order)
    const ready = well.filter(replica => !replica.isBusy && !avoided.has(replica))
    const usable = ready.length > 0 ? ready : well
    const free = usable.find(replica => replica.hasRoom)
    return free ? this.#taken(free) : await this.#wait(usable, signal)
  }

  /** Those that are well; where none is, they are asked. */
  async #well (order: readonly Replica[]): Promise<readonly Replica[]> {
    const well = order.filter(replica => replica.isWell)
    if (well.length > 0) return well
    await Promise.all(order.map(replica => replica.check()))
    const recovered = order.filter(replica => replica.isWell)
    if (recovered.length > 0) return recovered
    throw new RequestError('unavailable', 'The engine of this model does not answer', { retryAfterMs: 1000 })
  }

  #taken (replica: Replica): Place {
    replica.inFlight++
    let held = true
    return {
      replica,
      release: () => {
        if (!held) return
        held = false
        replica.inFlight--
        this.#grant(replica)
      }
    }
  }

  #wait (order: readonly Replica[], signal: AbortSignal): Promise<Place> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1)
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      }
      const entry: Waiting = {
        order,
        grant: place => {
          signal.removeEventListener('abort', leave)
          resolve(place)
        }
      }
      this.#waiting.push(entry)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #grant (replica: Replica): void {
    if (!replica.hasRoom) return
    const at = this.#waiting.findIndex(({ order }) => order.includes(replica))
    if (at >= 0) this.#waiting.splice(at, 1)[0]!.grant(this.#taken(replica))
  }

  async close (): Promise<void> { await Promise.all(this.all.map(replica => replica.close())) }
}
