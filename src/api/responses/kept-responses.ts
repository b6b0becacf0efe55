/**
 * Responses kept for later requests: in this process's memory, or in the store that replicas share. What runs in the
 * background, and what a socket alone may go on from, is always here; replicas see of what runs elsewhere that it does.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { RequestError } from '../../errors.js'
import type { Config } from '../../settings.js'
import type { SharedResponses } from '../../stores/responses.js'
import type { Caller } from '../plugins/keys.js'
import type { BackgroundResponse } from './background-response.js'
import { ResponseStore } from './response-store.js'
import type { ResponseItem } from './response-types.js'
import { keptOf, StoredResponse, textsOf, type KeptResponse } from './stored-response.js'

/** How often, each second, it is tried to share what has run in the background: the others wait for it. */
const tries = 30

const isAway = (error: unknown): boolean => error instanceof RequestError && error.code === 'store_unavailable'

/** Everything throws RequestError store_unavailable where a shared store is asked and cannot be reached. */
export class KeptResponses {
  readonly #here: ResponseStore
  readonly #shared: SharedResponses | null

  constructor (config: Pick<Config, 'storedResponses' | 'storedResponseBytes' | 'storedResponseBytesPerKey'
    | 'bodyLimitBytes'>, shared: SharedResponses | null) {
    this.#here = new ResponseStore(config)
    this.#shared = shared
    shared?.onEnded(id => { this.#here.cancel(id) })
  }

  /** One that other requests may ask for. */
  async find (caller: Caller, id: string): Promise<KeptResponse | null> {
    const here = this.#here.find(caller, id)
    if (here || !this.#shared) return here
    const found = await this.#shared.find(caller.name, id)
    return found && keptOf(found.texts, found.state)
  }

  /** One that the next request of its socket may go on from. */
  async findLast (caller: Caller, id: string): Promise<KeptResponse | null> {
    return this.#here.findLast(caller, id) ?? await this.find(caller, id)
  }

  /**
   * Items that stored responses read or wrote, by id; those that none did are not among them.
   * @throws RequestError for more than a conversation may have
   */
  async items (caller: Caller, ids: ReadonlySet<string>): Promise<ReadonlyMap<string, ResponseItem>> {
    if (!this.#shared) return this.#here.items(caller, ids)
    const holders = await this.#shared.holders(caller.name, [...ids])
    const items = new Map<string, ResponseItem>()
    let bytes = 0
    for (const holder of new Set(holders.values())) {
      const found = await this.#shared.find(caller.name, holder)
      if (!found) continue
      const stored = new StoredResponse(keptOf(found.texts, found.state), true)
      for (const id of stored.itemsAmong(ids)) {
        if (holders.get(id) !== holder) continue
        this.checkConversation(bytes += stored.bytesFor(id))
        items.set(id, stored.item(id))
      }
    }
    return items
  }

  /** @throws RequestError for a conversation that is too long to be kept or gone on from */
  checkConversation (bytes: number): void { this.#here.checkConversation(bytes) }

  /** A response that runs in the background of this process. */
  running (caller: Caller, id: string): BackgroundResponse | null { return this.#here.running(caller, id) }

  /**
   * Keeps a response that has ended, where there is room and a shared store can be reached.
   * @param isPublic whether other requests may ask for it
   * @returns whether it is kept
   */
  async keep (caller: Caller, id: string, kept: KeptResponse, isPublic = true): Promise<boolean> {
    if (!this.#shared || !isPublic) return this.#here.keep(caller, id, kept, isPublic)
    const stored = new StoredResponse(kept, true)
    if (!this.#here.mayBeGoneOnFrom(stored)) return false
    try {
      return await this.#shared.keep(caller.name, id, textsOf(kept, stored.bytes))
    } catch (error) {
      if (isAway(error)) return false
      throw error
    }
  }

  /**
   * Keeps a response from now on, and as what it has become once it has ended.
   * @throws RequestError rate_limit_exceeded where there is no room for it
   */
  async begin (caller: Caller, id: string, background: BackgroundResponse, bytes: number): Promise<void> {
    this.#here.begin(caller, id, background)
    try {
      this.hold(caller, id, bytes)
      if (!this.#shared) return
      const { bytes: size } = new StoredResponse(background.kept, true)
      if (!await this.#shared.begin(caller.name, id, textsOf(background.kept, size))) throw this.#here.noRoom()
    } catch (error) {
      this.#here.delete(caller, id)
      throw error
    }
  }

  /**
   * Counts bytes more of a response that runs in the background.
   * @throws RequestError rate_limit_exceeded where there is no room for them
   */
  hold (caller: Caller, id: string, bytes: number): void { this.#here.hold(caller, id, bytes) }

  /** To be called when a response that was begun has ended. One that was deleted stays so. */
  async end (caller: Caller, id: string): Promise<void> {
    const background = this.running(caller, id)
    if (this.#shared && background) {
      const { kept } = background
      const texts = textsOf(kept, new StoredResponse(kept, true).bytes)
      for (let left = tries; left > 0; left--) {
        try {
          await this.#shared.end(caller.name, id, texts)
          this.#here.endRunning(caller, id)
          return
        } catch (error) {
          if (!isAway(error)) throw error
          await sleep(1000)
        }
      }
    }
    this.#here.end(caller, id)
  }

  /** Ends a response that runs in the background, wherever it runs. */
  async cancel (caller: Caller, id: string): Promise<void> {
    const running = this.running(caller, id)
    if (running) running.cancel()
    else await this.#shared?.cancel(caller.name, id)
  }

  /** Forgets a response that its socket alone could go on from. */
  forget (caller: Caller, id: string): void { this.#here.forget(caller, id) }

  /** @returns whether there was one */
  async delete (caller: Caller, id: string): Promise<boolean> {
    const wasShared = await this.#shared?.delete(caller.name, id) ?? false
    return this.#here.delete(caller, id) || wasShared
  }
}
