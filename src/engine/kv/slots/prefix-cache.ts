/**
 * KV of prompts after their request, in blocks: a block is found by the one before it and its own tokens, so prompts
 * that begin alike keep their beginning once. The block unused longest goes first, and none before those that follow
 * it. Tokens are compared, not hashed, among prompts of the same salt. Knows no slots: what it keeps lies outside them,
 * in memory that a block takes over from one that went.
 */
import { LRUCache } from 'lru-cache'
import { Tensor } from '../../../runtime/tensor.js'
import { coveredLength, type History } from '../history.js'

/** Tokens of a block: what is left of a prompt is read again, at most as many. */
export const blockTokens = 16

/** Its KV is packed as SlotMemory does it. */
interface Block { readonly id: number, readonly kv: Tensor }

/** The beginning of a prompt whose KV is cached: its blocks in order. */
export interface CachedPrefix {
  readonly blocks: readonly Tensor[]
  /** Tokens they cover. */
  readonly length: number
}

const keyOf = (before: string | number, tokens: readonly number[], start: number): string =>
  `${before}:${tokens.slice(start, start + blockTokens).join()}`

/** Cached blocks of one engine, least recently used given up first. */
export class PrefixCache {
  readonly #blocks: LRUCache<string, Block> | null
  readonly #blockDims: readonly number[]
  /** Memory of blocks that went: fresh memory costs more than what is copied there. */
  readonly #unused: Tensor[] = []
  #nextId = 0

  /**
   * @param maxBytes of KV kept; 0 keeps none
   * @param blockDims shape of a block's KV
   */
  constructor (maxBytes: number, blockDims: readonly number[]) {
    this.#blockDims = blockDims
    this.#blocks = maxBytes === 0
      ? null
      : new LRUCache({
        maxSize: maxBytes, sizeCalculation: ({ kv }) => kv.sizeBytes, dispose: ({ kv }) => { this.#unused.push(kv) }
      })
  }

  get isOn (): boolean { return this.#blocks !== null }

  /** Bytes of KV held. */
  get sizeBytes (): number { return this.#blocks?.calculatedSize ?? 0 }

  /**
   * Keeps a prompt's whole blocks, as far as they are not there yet.
   * @param prompt its positions that were run in prefill chunks count
   * @param read copies the KV of a block's positions, from `start` on
   */
  keep (prompt: History, salt: string, read: (start: number, kv: Tensor) => void): void {
    if (!this.#blocks) return
    const keys: string[] = []
    let before: string | number = `salt ${salt}`
    for (let start = 0, end = coveredLength(prompt, prompt.tokens); start + blockTokens <= end; start += blockTokens) {
      const key = keyOf(before, prompt.tokens, start)
      let block = this.#blocks.peek(key)
      if (!block) {
        const kv = this.#unused.pop() ?? Tensor.allocate('float32', this.#blockDims)
        if ((keys.length + 1) * kv.sizeBytes > this.#blocks.maxSize) {
          this.#unused.push(kv)
          break
        }
        read(start, kv)
        block = { id: this.#nextId++, kv }
        // Others go before what this one follows.
        if (this.#blocks.calculatedSize + kv.sizeBytes > this.#blocks.maxSize) this.#refresh(keys)
        this.#blocks.set(key, block)
      }
      keys.push(key)
      before = block.id
    }
    this.#refresh(keys)
  }

  /** The longest cached beginning of a prompt; null where none of it is. */
  find (tokens: readonly number[], salt: string): CachedPrefix | null {
    const found: Array<readonly [key: string, block: Block]> = []
    let before: string | number = `salt ${salt}`
    for (let start = 0; start + blockTokens <= tokens.length; start += blockTokens) {
      const key = keyOf(before, tokens, start)
      const block = this.#blocks?.peek(key)
      if (!block) break
      found.push([key, block])
      before = block.id
    }
    this.#refresh(found.map(([key]) => key))
    return found.length === 0 ? null : { blocks: found.map(([, { kv }]) => kv), length: found.length * blockTokens }
  }

  /** Marks a chain of blocks as used, the first last. */
  #refresh (keys: readonly string[]): void {
    for (const key of keys.toReversed()) this.#blocks?.get(key)
  }

  dispose (): void {
    this.#blocks?.clear()
    for (const kv of this.#unused.splice(0)) kv.dispose()
  }
}
