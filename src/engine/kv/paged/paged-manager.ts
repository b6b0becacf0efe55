/**
 * The KV manager of a device: gives every sequence a table of blocks. Forks hold their parent's blocks, and the last,
 * partial one is copied before one of them writes; prompts take over blocks that hold their beginning already. A
 * sequence that must yield gives its blocks up, and what is not found again is run again, the same way, with the same
 * bits. Pure bookkeeping: copies are noted down, and the executor has them done before the next pass.
 */
import { prefillRun } from '../history.js'
import type { KvManager, KvSequence } from '../kv-manager.js'
import { BlockPool, chainStart, type BlockKey } from './block-pool.js'

export interface PagedOptions {
  /** Positions of a block. */
  readonly blockSize: number
  /** Blocks of the cache. */
  readonly numBlocks: number
  /** Of these, the first ones that are the executor's. */
  readonly reservedBlocks: number
  readonly bytesPerToken: number
  /** Whether prompts find what others left. */
  readonly keepsPrefixes: boolean
}

/** An open sequence as the manager sees it. */
export interface PagedSequence extends KvSequence {
  /** How positions after `runs` were run whose KV was given up: they are run again the same way. */
  readonly lost: readonly number[]
  /** Positions whose KV may be taken over where `runs` is empty. */
  readonly maxAdopted: number
  /** Takes note that positions from `length` on have no KV any more. */
  lose (length: number): void
}

/** Where a sequence's KV is. */
interface BlockTable {
  readonly blocks: number[]
  /** Of its full blocks, from the first on, as far as they were made findable. */
  readonly keys: BlockKey[]
}

export class PagedManager<S extends PagedSequence> implements KvManager<S> {
  readonly bytesPerToken: number
  readonly maxTokens: number
  readonly sharesForks = true
  readonly #blockSize: number
  readonly #keepsPrefixes: boolean
  readonly #pool: BlockPool
  /** Of every open sequence, oldest first. */
  readonly #tables = new Map<S, BlockTable>()
  /** Blocks to copy before the next pass: sources by target. */
  readonly #copies = new Map<number, number>()
  readonly #lent = new Set<number>()

  constructor ({ blockSize, numBlocks, reservedBlocks, bytesPerToken, keepsPrefixes }: PagedOptions) {
    this.bytesPerToken = bytesPerToken
    this.#blockSize = blockSize
    this.#keepsPrefixes = keepsPrefixes
    this.#pool = new BlockPool(reservedBlocks, numBlocks - reservedBlocks)
    this.maxTokens = (numBlocks - reservedBlocks) * blockSize
  }

  get usedTokens (): number {
    const filled = new Map<number, number>()
    for (const [{ runs }, { blocks }] of this.#tables) {
      for (const [index, block] of blocks.entries()) {
        const positions = Math.min(this.#blockSize, runs.length - index * this.#blockSize)
        filled.set(block, Math.max(filled.get(block) ?? 0, positions))
      }
    }
    return [...filled.values()].reduce((sum, positions) => sum + positions, 0)
  }

  get cachedBytes (): number { return this.#pool.numCached * this.#blockSize * this.bytesPerToken }

  /** The blocks of an open sequence: as many as hold its KV and what it waits to have run. */
  blocks (sequence: S): readonly number[] { return this.#table(sequence).blocks }

  #table (sequence: S): BlockTable {
    const table = this.#tables.get(sequence)!
    // It may have been cut.
    const full = Math.floor(sequence.runs.length / this.#blockSize)
    if (table.keys.length > full) table.keys.length = full
    return table
  }

  open (sequence: S): void { this.#tables.set(sequence, { blocks: [], keys: [] }) }

  fork (parent: S, child: S): void {
    const { blocks, keys } = this.#table(parent)
    const held = blocks.slice(0, Math.ceil(parent.runs.length / this.#blockSize))
    this.#tables.set(child, { blocks: held.map(block => this.#pool.hold(block)), keys: keys.slice() })
  }

  isResident (sequence: S): boolean {
    const { blocks } = this.#table(sequence)
    return blocks.length * this.#blockSize >= sequence.tokens.length &&
      this.#written(sequence, blocks).every(block => this.#isOwn(block))
  }

  /** Those of its blocks in which the tokens that wait come to lie. */
  #written ({ runs, tokens }: S, blocks: readonly number[]): readonly number[] {
    return runs.length < tokens.length ? blocks.slice(Math.floor(runs.length / this.#blockSize)) : []
  }

  /** Whether a block can be written. */
  #isOwn (block: number): boolean { return this.#pool.references(block) === 1 && !this.#pool.isFindable(block) }

  allocate (sequence: S, mayPreempt: (resident: S) => boolean): boolean {
    const table = this.#table(sequence)
    const { blocks } = table
    if (this.#keepsPrefixes && blocks.length === 0) this.#adopt(sequence, table)
    const written = this.#written(sequence, blocks)
    const shared = written.filter(block => this.#pool.references(block) > 1).length
    const missing = Math.max(0, Math.ceil(sequence.tokens.length / this.#blockSize) - blocks.length)
    if (!this.#makeRoom(shared + missing, sequence, mayPreempt)) return false
    for (const [index, block] of written.entries()) {
      if (!this.#isOwn(block)) this.#makeOwn(sequence, blocks, blocks.length - written.length + index)
    }
    for (let count = 0; count < missing; count++) blocks.push(this.#pool.take())
    return true
  }

  /** Makes a block writable; if another holds it too, by a copy of what there is of this sequence in it. */
  #makeOwn ({ runs }: S, blocks: number[], index: number): void {
    const block = blocks[index]!
    if (this.#pool.references(block) === 1) {
      this.#pool.forget(block)
      return
    }
    const own = blocks[index] = this.#pool.take()
    if (index * this.#blockSize < runs.length) this.#copies.set(own, block)
    this.#release(block)
  }

  /** Takes over the longest beginning that is there: whole blocks of the same tokens, run the same way. */
  #adopt (sequence: S, { blocks, keys }: BlockTable): void {
    const { salt, tokens, lost, maxAdopted } = sequence
    for (const [other, table] of this.#tables) if (other.salt === salt) this.#remember(other, table)
    const runs = lost.length > 0 ? lost : tokens.map(() => prefillRun)
    for (let start = 0, end = this.#blockSize; end <= maxAdopted; start = end, end += this.#blockSize) {
      const found = this.#pool.find(keys.at(-1) ?? chainStart(salt), tokens.slice(start, end), runs.slice(start, end))
      if (!found) break
      blocks.push(this.#pool.hold(found.block))
      keys.push(found.key)
    }
    if (blocks.length > 0) sequence.adopt(blocks.length * this.#blockSize)
  }

  /** Makes full blocks findable. */
  #remember ({ salt, tokens, runs }: S, { blocks, keys }: BlockTable): void {
    const size = this.#blockSize
    for (let end = (keys.length + 1) * size; end <= runs.length; end += size) {
      const start = end - size
      keys.push(this.#pool.remember(
        blocks[keys.length]!, keys.at(-1) ?? chainStart(salt), tokens.slice(start, end), runs.slice(start, end)))
    }
  }

  /** Blocks that are free, at least so many; if need be those of sequences that yield, the youngest first. */
  #makeRoom (count: number, sequence: S, mayPreempt: (resident: S) => boolean): boolean {
    const victims: S[] = []
    const dropped = new Map<number, number>()
    let free = this.#pool.numFree
    for (const [other, { blocks }] of free < count ? [...this.#tables].reverse() : []) {
      if (free >= count) break
      if (other === sequence || blocks.length === 0 || !mayPreempt(other)) continue
      victims.push(other)
      for (const block of blocks) {
        dropped.set(block, (dropped.get(block) ?? 0) + 1)
        if (dropped.get(block) === this.#pool.references(block)) free++
      }
    }
    if (free < count) return false
    for (const victim of victims) this.#preempt(victim)
    return true
  }

  #preempt (sequence: S): void {
    this.#giveUp(sequence)
    sequence.lose(0)
  }

  /** Gives all blocks of a sequence back, the last first: it goes before those that it follows. */
  #giveUp (sequence: S): void {
    const table = this.#table(sequence)
    if (this.#keepsPrefixes) this.#remember(sequence, table)
    for (const block of table.blocks.splice(0).reverse()) this.#release(block)
    table.keys.length = 0
  }

  #release (block: number): void {
    if (this.#pool.release(block)) this.#copies.delete(block)
  }

  canBatch (): boolean { return true }

  /** Forks hold its blocks anyway. */
  sharePrompt (): void {}

  cachePrompt (sequence: S): void {
    if (this.#keepsPrefixes) this.#remember(sequence, this.#table(sequence))
  }

  free (sequence: S): void {
    this.#giveUp(sequence)
    this.#tables.delete(sequence)
  }

  /** What must be copied before the next pass, each pair once. */
  takeCopies (): Array<[from: number, to: number]> {
    const copies = [...this.#copies].map(([to, from]): [number, number] => [from, to])
    this.#copies.clear()
    return copies
  }

  /** Blocks for branches that are dropped again; null where there are not so many. */
  lend (count: number): number[] | null {
    if (this.#pool.numFree < count) return null
    const blocks = Array.from({ length: count }, () => this.#pool.take())
    for (const block of blocks) this.#lent.add(block)
    return blocks
  }

  takeBack (blocks: readonly number[]): void {
    for (const block of blocks) {
      this.#lent.delete(block)
      this.#pool.release(block)
    }
  }

  /** What was in the cache is gone: everything is run again before it is used. */
  reset (): void {
    this.#copies.clear()
    for (const [sequence, { blocks, keys }] of this.#tables) {
      for (const block of blocks.splice(0)) this.#pool.release(block)
      keys.length = 0
      sequence.lose(0)
    }
    this.#pool.forgetAll()
  }

  checkIntegrity (): void {
    const held = new Map([...this.#lent].map(block => [block, 1]))
    for (const [{ runs }, { blocks }] of this.#tables) {
      if (blocks.length * this.#blockSize < runs.length) {
        throw new Error(`${runs.length} positions have KV in ${blocks.length} blocks of ${this.#blockSize}`)
      }
      for (const block of blocks) held.set(block, (held.get(block) ?? 0) + 1)
    }
    for (const target of this.#copies.keys()) {
      if (held.get(target) !== 1) throw new Error(`block ${target} is to be written and not one sequence's own`)
    }
    this.#pool.checkIntegrity(held)
  }

  dispose (): void {}
}
