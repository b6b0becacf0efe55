/**
 * Responses kept for later requests, in memory: those that run in the background, and those that have ended. Each
 * caller sees its own, has a number and bytes of its own, and bytes in all: where room is needed its own least recently
 * used go, never another's.
 */
import { ByteBudget } from '../../byte-budget.js'
import { RequestError } from '../../errors.js'
import type { Config } from '../../settings.js'
import { refuse } from '../../validation.js'
import type { Caller } from '../plugins/keys.js'
import type { BackgroundResponse } from './background-response.js'
import type { ResponseItem } from './response-types.js'
import { StoredResponse, type KeptResponse } from './stored-response.js'

/** One that runs in the background, and the bytes that are held for it. */
interface Running { readonly background: BackgroundResponse, bytes: number }

/** What is kept for one caller, by id; of what has ended the least recently used first. */
interface Own { readonly running: Map<string, Running>, readonly ended: Map<string, StoredResponse> }

export class ResponseStore {
  readonly #maxResponses: number
  readonly #maxConversation: number
  readonly #budget: ByteBudget
  readonly #callers = new Map<string, Own>()

  constructor ({ storedResponses, storedResponseBytes: total, storedResponseBytesPerKey: perCaller, bodyLimitBytes }:
  Pick<Config, 'storedResponses' | 'storedResponseBytes' | 'storedResponseBytesPerKey' | 'bodyLimitBytes'>) {
    this.#maxResponses = storedResponses
    this.#maxConversation = 2 * bodyLimitBytes
    this.#budget = new ByteBudget({ perCaller, total })
  }

  #own ({ name }: Caller): Own {
    const own = this.#callers.get(name) ?? { running: new Map(), ended: new Map() }
    this.#callers.set(name, own)
    return own
  }

  /** How many are kept. */
  get size (): number {
    return [...this.#callers.values()].reduce((sum, { running, ended }) => sum + running.size + ended.size, 0)
  }

  /** Bytes of all of them. */
  get bytes (): number { return this.#budget.total }

  /** One that other requests may ask for. */
  find (caller: Caller, id: string): KeptResponse | null {
    return this.running(caller, id)?.kept ?? this.#ended(caller, id, ({ isPublic }) => isPublic)
  }

  /** One that the next request of its socket may go on from. */
  findLast (caller: Caller, id: string): KeptResponse | null { return this.#ended(caller, id, () => true) }

  #ended (caller: Caller, id: string, mayBe: (stored: StoredResponse) => boolean): KeptResponse | null {
    const { ended } = this.#own(caller)
    const stored = ended.get(id)
    if (!stored || !mayBe(stored)) return null
    ended.delete(id)
    ended.set(id, stored)
    return stored.kept
  }

  /**
   * Items that stored responses read or wrote, by id; those that none did are not among them.
   * @throws RequestError for more than a conversation may have
   */
  items (caller: Caller, ids: ReadonlySet<string>): Map<string, ResponseItem> {
    const holders = new Map<string, StoredResponse>()
    for (const stored of this.#own(caller).ended.values()) {
      if (stored.isPublic) for (const id of stored.itemsAmong(ids)) holders.set(id, stored)
    }
    const bytes = [...holders].reduce((sum, [id, stored]) => sum + stored.bytesFor(id), 0)
    this.checkConversation(bytes)
    return new Map([...holders].map(([id, stored]) => [id, stored.item(id)]))
  }

  /** @throws RequestError for a conversation that is too long to be kept or gone on from */
  checkConversation (bytes: number): void {
    if (bytes > this.#maxConversation) {
      throw refuse('input', `must, with what it goes on from, have at most ${this.#maxConversation} bytes (twice ` +
        'body-limit-bytes)', bytes)
    }
  }

  /** A response that runs in the background. */
  running (caller: Caller, id: string): BackgroundResponse | null {
    return this.#own(caller).running.get(id)?.background ?? null
  }

  /** Whether it is short enough to be kept: what ran in the background is, however long it has become. */
  mayBeGoneOnFrom ({ isBackground, conversationBytes }: StoredResponse): boolean {
    return isBackground || conversationBytes <= this.#maxConversation
  }

  /**
   * Keeps a response that has ended, where there is room.
   * @param isPublic whether other requests may ask for it
   * @returns whether it is kept
   */
  keep (caller: Caller, id: string, kept: KeptResponse, isPublic = true): boolean {
    const stored = new StoredResponse(kept, isPublic)
    if (!this.mayBeGoneOnFrom(stored)) return false
    if (!this.#makeRoom(caller, stored.bytes)) return false
    const { ended } = this.#own(caller)
    if (ended.size >= this.#maxResponses) this.#drop(caller, ended.keys().next().value!)
    ended.set(id, stored)
    this.#budget.add(caller.name, stored.bytes)
    return true
  }

  /** Evicts the caller's own until there is room, where there can be. */
  #makeRoom (caller: Caller, bytes: number): boolean {
    const { ended } = this.#own(caller)
    const mine = [...ended.values()].reduce((sum, stored) => sum + stored.bytes, 0)
    if (this.#budget.room(caller.name) + mine < bytes) return false
    for (const id of ended.keys()) {
      if (this.#budget.room(caller.name) >= bytes) break
      this.#drop(caller, id)
    }
    return true
  }

  #drop (caller: Caller, id: string): boolean {
    const { ended } = this.#own(caller)
    const stored = ended.get(id)
    if (!stored) return false
    this.#budget.add(caller.name, -stored.bytes)
    return ended.delete(id)
  }

  /** Keeps a response from now on, and as what it has become once it has ended. */
  begin (caller: Caller, id: string, background: BackgroundResponse): void {
    this.#own(caller).running.set(id, { background, bytes: 0 })
  }

  /**
   * Counts bytes more of a response that runs in the background.
   * @throws RequestError rate_limit_exceeded where there is no room for them
   */
  hold (caller: Caller, id: string, bytes: number): void {
    const running = this.#own(caller).running.get(id)
    if (!running) return
    if (!this.#makeRoom(caller, bytes)) throw this.noRoom()
    running.bytes += bytes
    this.#budget.add(caller.name, bytes)
  }

  noRoom (): RequestError {
    return new RequestError('rate_limit_exceeded', 'There is no room for more responses that run in the background ' +
      'and their events (stored-response-bytes-per-key, stored-response-bytes)', { retryAfterMs: 1000 })
  }

  /** Cancels one that runs in the background, whoever’s it is. */
  cancel (id: string): void {
    for (const { running } of this.#callers.values()) running.get(id)?.background.cancel()
  }

  /** Forgets one that ran in the background. */
  endRunning (caller: Caller, id: string): BackgroundResponse | null {
    const { running } = this.#own(caller)
    const ending = running.get(id)
    if (!ending) return null
    running.delete(id)
    this.#budget.add(caller.name, -ending.bytes)
    return ending.background
  }

  /** To be called when a response that was begun has ended. One that was deleted stays so. */
  end (caller: Caller, id: string): void {
    const background = this.endRunning(caller, id)
    if (background) this.keep(caller, id, background.kept)
  }

  /** Forgets a response that its socket alone could go on from. */
  forget (caller: Caller, id: string): void {
    if (this.#own(caller).ended.get(id)?.isPublic === false) this.#drop(caller, id)
  }

  /** @returns whether there was one */
  delete (caller: Caller, id: string): boolean {
    const running = this.endRunning(caller, id)
    running?.cancel()
    return running !== null || this.#drop(caller, id)
  }
}
