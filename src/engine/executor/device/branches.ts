/**
 * What may come next in a sequence, as forks that are dropped: each branch reads the sequence's own full blocks, and
 * writes behind a copy of the last, partial one. As many run in one pass as there are blocks for, and one always does.
 */
import { runOf } from '../../kv/history.js'
import type { PackedPart } from './pack-pass.js'

/** The most tokens of a branch. */
export const maxBranchTokens = 32

/** Blocks that a branch may need of its own. */
export const branchBlocks = (blockSize: number): number => 1 + Math.ceil(maxBranchTokens / blockSize)

/** Blocks of the executor's: one for fillers, and those of a branch. */
export const reservedBlocks = (blockSize: number): number => 1 + branchBlocks(blockSize)

/** Tokens that may come next, and where their states go among those of all branches. */
interface Branch { readonly tokens: readonly number[], readonly first: number }

/** Where blocks for a while come from. */
interface Lender { lend (count: number): number[] | null }

export interface BranchPass {
  readonly run: number
  readonly branches: readonly Branch[]
  /** As the branches. */
  readonly parts: readonly PackedPart[]
  /** To be done before the pass: [from, to]. */
  readonly copies: ReadonlyArray<readonly [from: number, to: number]>
  /** To be given back after it. */
  readonly lent: readonly number[]
}

export class Branches {
  readonly #length: number
  readonly #blocks: readonly number[]
  readonly #blockSize: number
  readonly #all: readonly Branch[]

  /**
   * @param length tokens of the sequence, all of which have KV
   * @param blocks that hold it
   */
  constructor (
    length: number, blocks: readonly number[], branches: ReadonlyArray<readonly number[]>, blockSize: number
  ) {
    this.#length = length
    this.#blocks = blocks
    this.#blockSize = blockSize
    let first = 0
    this.#all = branches.map(tokens => ({ tokens, first: (first += tokens.length) - tokens.length }))
  }

  get all (): readonly Branch[] { return this.#all }
  get numTokens (): number { return this.#all.reduce((sum, { tokens }) => sum + tokens.length, 0) }

  /** The pass of the first of some branches, and of those behind it that are run the same way. */
  next (left: readonly Branch[], pool: Lender): BranchPass {
    const run = runOf(left[0]!.tokens.length)
    const reserved = Array.from({ length: branchBlocks(this.#blockSize) }, (_, index) => 1 + index)
    const [branches, parts]: [Branch[], PackedPart[]] = [[], []]
    const copies: Array<[number, number]> = []
    const lent: number[] = []
    const full = Math.floor(this.#length / this.#blockSize)
    for (const branch of left) {
      const count = Math.ceil((this.#length + branch.tokens.length) / this.#blockSize) - full
      if (runOf(branch.tokens.length) !== run) break
      const own = branches.length === 0 ? reserved.slice(0, count) : pool.lend(count)
      if (!own) break
      if (branches.length > 0) lent.push(...own)
      if (this.#length % this.#blockSize !== 0) copies.push([this.#blocks[full]!, own[0]!])
      branches.push(branch)
      parts.push({
        tokens: branch.tokens,
        past: this.#length,
        blocks: [...this.#blocks.slice(0, full), ...own],
        firstRow: branch.tokens.length,
        wantsLogits: false,
        inverseTemperature: 1,
        firstState: 0
      })
    }
    return { run, branches, parts, copies, lent }
  }
}
