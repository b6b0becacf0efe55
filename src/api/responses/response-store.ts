/**
 * Responses kept for later requests, in memory: those that run in the background, and those that have ended, of which
 * the least recently used go first. Each caller sees its own.
 */
import { LRUCache } from 'lru-cache'
import type { Config } from '../../settings.js'
import type { BackgroundResponse } from './background-response.js'
import type { KeptResponse } from './stored-response.js'
import type { Caller } from '../plugins/keys.js'

/** An API key's part of the store: callers cannot guess each other's keys. */
const keyOf = (caller: Caller, id: string): string => caller.saltOf(id)

export class ResponseStore {
  readonly #running = new Map<string, BackgroundResponse>()
  readonly #ended: LRUCache<string, KeptResponse>

  constructor ({ storedResponses, storedResponseBytes }: Pick<Config, 'storedResponses' | 'storedResponseBytes'>) {
    this.#ended = new LRUCache({
      max: storedResponses,
      maxSize: storedResponseBytes,
      sizeCalculation: kept => Buffer.byteLength(JSON.stringify(kept))
    })
  }

  /** How many are kept. */
  get size (): number { return this.#running.size + this.#ended.size }

  find (caller: Caller, id: string): KeptResponse | null {
    return this.running(caller, id)?.kept ?? this.#ended.get(keyOf(caller, id)) ?? null
  }

  /** A response that runs in the background. */
  running (caller: Caller, id: string): BackgroundResponse | null {
    return this.#running.get(keyOf(caller, id)) ?? null
  }

  /** Keeps a response that has ended. */
  keep (caller: Caller, id: string, kept: KeptResponse): void { this.#ended.set(keyOf(caller, id), kept) }

  /** Keeps a response from now on, and as what it has become once it has ended. */
  begin (
    caller: Caller, id: string, background: BackgroundResponse
  ): void { this.#running.set(keyOf(caller, id), background) }

  /** To be called when a response that was begun has ended. One that was deleted stays so. */
  end (caller: Caller, id: string): void {
    const background = this.running(caller, id)
    if (!background) return
    this.#running.delete(keyOf(caller, id))
    this.keep(caller, id, background.kept)
  }

  /** @returns whether there was one */
  delete (caller: Caller, id: string): boolean {
    this.running(caller, id)?.cancel()
    return this.#running.delete(keyOf(caller, id)) || this.#ended.delete(keyOf(caller, id))
  }
}
