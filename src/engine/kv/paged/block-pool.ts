/**
 * The blocks of a paged KV cache: who holds how many references to each, and which free ones still hold KV that can be
 * found again. A block is found by the block before it and its own tokens and the ways they were run, so that sequences
 * that begin alike find their beginning; those that were given up longest ago are taken first. Knows no sequences and
 * no memory.
 */

/** What a full block holds, in place of its contents: equal keys, equal KV. Given out by `remember`. */
export type BlockKey = number

/** The key that a chain of blocks begins with, of one salt. */
type Chain = BlockKey | string

/** Names what a block holds by what comes before it. */
const nameOf = (before: Chain, tokens: readonly number[], runs: readonly number[]): string =>
  `${before}:${tokens.join()}:${runs.join('')}`

/** What every chain of blocks of a salt begins with. */
export const chainStart = (salt: string): string => `salt ${salt}`

export class BlockPool {
  readonly #first: number
  readonly #references: Int32Array
  /** Free blocks that hold nothing worth finding. */
  readonly #blank: number[]
  /** Free blocks that can be found, given up longest ago first. */
  readonly #cached = new Set<number>()
  readonly #blockOf = new Map<string, number>()
  readonly #entries = new Map<number, { readonly name: string, readonly key: BlockKey }>()
  #nextKey = 0

  /** @param first number of the first block; those before it are somebody else's */
  constructor (first: number, count: number) {
    this.#first = first
    this.#references = new Int32Array(first + count)
    this.#blank = Array.from({ length: count }, (_, index) => first + count - 1 - index)
  }

  /** Blocks that can be taken. */
  get numFree (): number { return this.#blank.length + this.#cached.size }
  /** Free blocks that can be found. */
  get numCached (): number { return this.#cached.size }

  references (block: number): number { return this.#references[block]! }

  /** A block of one's own, whatever it holds. @throws Error where none is free */
  take (): number {
    const block = this.#blank.pop() ?? this.#cached.values().next().value
    if (block === undefined) throw new Error('no block of the KV cache is free')
    this.forget(block, false)
    this.#references[block] = 1
    return block
  }

  /** One reference more. */
  hold (block: number): number {
    if (this.#references[block]!++ === 0) this.#cached.delete(block)
    return block
  }

  /** One reference less. @returns whether the block is free now */
  release (block: number): boolean {
    if (--this.#references[block]! > 0) return false
    if (this.#entries.has(block)) this.#cached.add(block)
    else this.#blank.push(block)
    return true
  }

  /** Whether what a block holds can be found: it must not be written then. */
  isFindable (block: number): boolean { return this.#entries.has(block) }

  /**
   * Makes a full block findable, unless another with the same KV is.
   * @param before the key of the block before it; `chainStart` for the first
   */
  remember (block: number, before: Chain, tokens: readonly number[], runs: readonly number[]): BlockKey {
    const name = nameOf(before, tokens, runs)
    const known = this.#blockOf.get(name)
    if (known !== undefined) return this.#entries.get(known)!.key
    const key = this.#nextKey++
    this.#blockOf.set(name, block)
    this.#entries.set(block, { name, key })
    return key
  }

  /** The block that holds something, if there is one. It is not held yet. */
  find (
    before: Chain, tokens: readonly number[], runs: readonly number[]
  ): { readonly block: number, readonly key: BlockKey } | null {
    const block = this.#blockOf.get(nameOf(before, tokens, runs))
    return block === undefined ? null : { block, key: this.#entries.get(block)!.key }
  }

  /** What a block holds is found no longer. @param isFree whether it may be among the free ones */
  forget (block: number, isFree = true): void {
    const entry = this.#entries.get(block)
    if (!entry) return
    this.#entries.delete(block)
    this.#blockOf.delete(entry.name)
    if (this.#cached.delete(block) && isFree) this.#blank.push(block)
  }

  /** What all blocks hold is found no longer. */
  forgetAll (): void {
    for (const block of [...this.#entries.keys()]) this.forget(block)
  }

  /** Throws unless the books agree with how often each block is held. For tests. */
  checkIntegrity (held: ReadonlyMap<number, number>): void {
    const free = new Set([...this.#blank, ...this.#cached])
    if (free.size !== this.numFree) throw new Error('a block is free twice')
    for (const [block, references] of this.#references.entries()) {
      if (references !== (held.get(block) ?? 0)) {
        throw new Error(`block ${block} has ${references} references for ${held.get(block) ?? 0} holders`)
      }
      if (block >= this.#first && (references > 0) === free.has(block)) {
        throw new Error(`block ${block} is ${references > 0 ? 'held and free' : 'neither held nor free'}`)
      }
      if (this.#cached.has(block) !== (free.has(block) && this.#entries.has(block))) {
        throw new Error(`block ${block} is ${this.#cached.has(block) ? '' : 'not '}among the cached ones`)
      }
    }
    for (const [name, block] of this.#blockOf) {
      if (this.#entries.get(block)?.name !== name) throw new Error(`block ${block} is found by what it does not hold`)
    }
  }
}
