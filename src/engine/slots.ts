/**
 * Who a slot belongs to: an open sequence, the prefix cache, or nobody. A free slot remembers what its last owner left,
 * so that a sequence forked again and again, as a look-ahead does, copies only the positions that differ.
 * Slots are taken only between runs: a run in flight may write into free ones.
 */
import { commonLength, type History } from './history.js'
import { PrefixCache, type CachedPrompt } from './prefix-cache.js'

const nothing: History = { tokens: [], runs: [] }

export class SlotTable {
  readonly prefixCache: PrefixCache
  /** Per slot what a free one was left with, or null while it is taken. */
  readonly #residue: Array<History | null>
  /** Sequences that are to be copied from a slot; it is not reused before they are. */
  readonly #pins: number[]

  constructor (count: number, prefixCacheTokens: number) {
    this.#residue = new Array<History | null>(count).fill(nothing)
    this.#pins = new Array<number>(count).fill(0)
    this.prefixCache = new PrefixCache(prefixCacheTokens, slot => { this.#residue[slot] = nothing })
  }

  get count (): number { return this.#residue.length }

  /** Positions a free slot was left with; null for a slot that is taken. */
  leftLength (slot: number): number | null {
    return this.#residue[slot]?.runs.length ?? null
  }

  isFree (slot: number): boolean { return this.#residue[slot] !== null }

  pin (slot: number): void { this.#pins[slot]!++ }
  unpin (slot: number): void { this.#pins[slot]!-- }
  pins (slot: number): number { return this.#pins[slot]! }

  /**
   * Takes the free slot that holds most of `wanted` already, an empty one before one with other contents, the lowest first. Lets cached
   * prompts go if there is none.
   * @returns the slot and how many leading positions it holds; null where every slot is taken
   */
  take (wanted: History): { slot: number, length: number } | null {
    let best = -1
    let bestLength = -1
    for (const [slot, residue] of this.#residue.entries()) {
      if (residue === null || this.#pins[slot]! > 0) continue
      const common = commonLength(residue, wanted)
      const length = common === 0 && residue.runs.length > 0 ? -0.5 : common
      if (length > bestLength) [best, bestLength] = [slot, length]
    }
    if (best < 0) return this.prefixCache.evict() ? this.take(wanted) : null
    this.#residue[best] = null
    return { slot: best, length: Math.max(0, bestLength) }
  }

  /** Gives a slot back with what it holds. */
  free (slot: number, residue: History): void { this.#residue[slot] = residue }

  /** Offers a slot's prompt to the prefix cache; frees the slot if the cache has no use for it. */
  retire (slot: number, prompt: CachedPrompt, residue: History): void {
    if (!this.prefixCache.keep(slot, prompt)) this.free(slot, residue)
  }
}
