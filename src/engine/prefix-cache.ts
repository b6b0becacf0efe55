/**
 * Prompts whose KV is kept after their request, least recently used first to go. Finds the longest that a new prompt begins
 * with, by equality of tokens, among those of the same salt. Knows no slots: what it keeps lies outside them.
 */
import { LRUCache } from 'lru-cache'
import { coveredLength, type History } from './history.js'
import type { KvSnapshot } from './kv-cache.js'

interface CachedPrompt extends History { readonly salt: string, readonly kv: KvSnapshot }

/** Shorter prompts are read again faster than they are looked after. */
const shortest = 8

export class PrefixCache {
  readonly #entries: LRUCache<number, CachedPrompt> | null
  #nextId = 0

  /** @param maxTokens KV kept, in tokens; 0 keeps none */
  constructor (maxTokens: number) {
    this.#entries = maxTokens === 0 ? null : new LRUCache({ maxSize: maxTokens, sizeCalculation: prompt => prompt.runs.length, dispose: ({ kv }) => { kv.release() } })
  }

  get isOn (): boolean { return this.#entries !== null }

  /** Tokens of KV held. */
  get tokens (): number { return this.#entries?.calculatedSize ?? 0 }

  /**
   * Keeps a prompt. An entry that it extends goes; where another entry covers it already, that one is refreshed instead.
   * @param prompt positions that were all run in chunks
   * @param snapshot called for the KV if it is to be kept; the cache holds what it gives
   */
  keep (prompt: History, salt: string, snapshot: () => KvSnapshot): void {
    const length = prompt.runs.length
    if (!this.#entries || length < shortest || length > this.#entries.maxSize) return
    const tokens = prompt.tokens.slice(0, length)
    for (const [id, entry] of [...this.#entries.entries()]) {
      if (entry.salt !== salt) continue
      const common = coveredLength(entry, tokens)
      if (common === length) {
        this.#entries.get(id)
        return
      }
      if (common === entry.runs.length) this.#entries.delete(id)
    }
    this.#entries.set(this.#nextId++, { tokens, runs: prompt.runs, salt, kv: snapshot() })
  }

  /** The entry that covers most of a prompt's beginning; null where none covers any. */
  find (tokens: readonly number[], salt: string): { kv: KvSnapshot, length: number } | null {
    let best: { id: number, kv: KvSnapshot, length: number } | null = null
    for (const [id, entry] of this.#entries?.entries() ?? []) {
      if (entry.salt !== salt) continue
      const length = coveredLength(entry, tokens)
      if (length > (best?.length ?? 0)) best = { id, kv: entry.kv, length }
    }
    if (best) this.#entries?.get(best.id)
    return best
  }

  clear (): void { this.#entries?.clear() }
}
