/** What a forward pass says after one position, as sequences hold it. */
import { LayerStates, type HiddenState } from '../hidden-states.js'
import type { Distribution, Output } from '../sequence.js'

/** One row of a step. Shared by a sequence and its forks until each asks for its next output. */
export class OutputRow extends LayerStates implements Output, Distribution {
  readonly size: number
  readonly logNormalizer: number
  readonly temperedLogNormalizer: number
  readonly topIds: Int32Array
  readonly topLogits: Float32Array
  #logits: Float32Array
  /** Sequences whose current output this is. */
  holders = 0

  /** @param distribution its logits lent until `detach` */
  constructor (
    distribution: Omit<Distribution, 'size'>, hidden: ReadonlyMap<number, HiddenState>, pooledTokens: number
  ) {
    super(hidden, pooledTokens)
    this.size = distribution.logits.length
    this.logNormalizer = distribution.logNormalizer
    this.temperedLogNormalizer = distribution.temperedLogNormalizer
    this.topIds = distribution.topIds
    this.topLogits = distribution.topLogits
    this.#logits = distribution.logits
  }

  get distribution (): Distribution { return this }
  get logits (): Float32Array { return this.#logits }

  /** Copies the lent logits, so that their memory can be written over. */
  detach (): void { this.#logits = this.#logits.slice() }
}
