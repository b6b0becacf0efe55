/** What a forward pass says after one position, as sequences hold it. */
import { LayerStates, type HiddenState } from '../hidden-states.js'
import { MissingLogits, type Distribution, type Output } from '../sequence.js'

/** What a pass says of one row; no logits beside the listed ones where they were not asked for. */
export interface RowValues extends Omit<Distribution, 'isPartial' | 'logits'> { readonly logits: Float32Array | null }

/** One row of a step. Shared by a sequence and its forks until each asks for its next output. */
export class OutputRow extends LayerStates implements Output, Distribution {
  readonly size: number
  readonly logNormalizer: number
  readonly temperedLogNormalizer: number
  readonly topIds: Int32Array
  readonly topLogits: Float32Array
  #logits: Float32Array | null
  /** Sequences whose current output this is. */
  holders = 0

  /** @param distribution its logits lent until `detach` */
  constructor (
    distribution: RowValues, states: ReadonlyMap<number, HiddenState>, pooledTokens: number
  ) {
    super(states, pooledTokens)
    this.size = distribution.size
    this.logNormalizer = distribution.logNormalizer
    this.temperedLogNormalizer = distribution.temperedLogNormalizer
    this.topIds = distribution.topIds
    this.topLogits = distribution.topLogits
    this.#logits = distribution.logits
  }

  get distribution (): Distribution { return this }
  get isPartial (): boolean { return this.#logits === null }

  get logits (): Float32Array {
    if (!this.#logits) throw new MissingLogits()
    return this.#logits
  }

  /** Copies the lent logits, so that their memory can be written over. */
  detach (): void { this.#logits = this.logits.slice() }
}
