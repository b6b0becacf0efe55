/**
 * Prompts whose KV is kept after their request, least recently used first to go. Finds the longest that a new prompt begins
 * with, by equality of tokens, among those of the same salt. Knows slots only as numbers.
 */
import { LRUCache } from 'lru-cache'
import { coveredLength, type History } from './history.js'

export interface CachedPrompt extends History { readonly salt: string }

/** Shorter prompts are read again faster than they are looked after. */
const shortest = 8

export class PrefixCache {
  readonly #entries: LRUCache<number, CachedPrompt> | null

  /**
   * @param maxTokens KV kept, in tokens; 0 keeps none
   * @param freeSlot called with the slot of every entry that goes
   */
  constructor (maxTokens: number, freeSlot: (slot: number) => void) {
    this.#entries = maxTokens === 0
      ? null
      : new LRUCache({ maxSize: maxTokens, sizeCalculation: prompt => prompt.runs.length, dispose: (_, slot) => { freeSlot(slot) } })
  }

  /** Tokens of KV held. */
  get tokens (): number { return this.#entries?.calculatedSize ?? 0 }

  /** Positions of an entry; 0 for a slot that is none. */
  length (slot: number): number { return this.#entries?.peek(slot)?.runs.length ?? 0 }

  has (slot: number): boolean { return this.#entries?.has(slot) ?? false }

  /**
   * Keeps a slot's prompt. An entry that it extends goes; where another entry covers it already, that one is refreshed instead.
   * @returns whether the slot is now the cache's
   */
  keep (slot: number, prompt: CachedPrompt): boolean {
    const length = prompt.runs.length
    if (!this.#entries || length < shortest || length > this.#entries.maxSize) return false
    for (const [other, entry] of [...this.#entries.entries()]) {
      if (entry.salt !== prompt.salt) continue
      const common = coveredLength(entry, prompt.tokens.slice(0, length))
      if (common === length) {
        this.#entries.get(other)
        return false
      }
      if (common === entry.runs.length) this.#entries.delete(other)
    }
    this.#entries.set(slot, prompt)
    return true
  }

  /** The entry that covers most of a prompt's beginning; null where none covers any. */
  find (tokens: readonly number[], salt: string): { slot: number, length: number } | null {
    let best: { slot: number, length: number } | null = null
    for (const [slot, entry] of this.#entries?.entries() ?? []) {
      if (entry.salt !== salt) continue
      const length = coveredLength(entry, tokens)
      if (length > (best?.length ?? 0)) best = { slot, length }
    }
    if (best) this.#entries?.get(best.slot)
    return best
  }

  /** Says that an entry's KV is now in another slot; its old one is freed. */
  move (slot: number, target: number): void {
    const prompt = this.#entries?.peek(slot)
    if (!prompt) return
    this.#entries?.delete(slot)
    this.#entries?.set(target, prompt)
  }

  /** Lets the least recently used entry go. @returns false where there is none */
  evict (): boolean {
    return this.#entries?.pop() !== undefined
  }

  clear (): void { this.#entries?.clear() }
}
