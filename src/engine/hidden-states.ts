/** Hidden states at a sequence's end, by layer, and the running sums that their means come from. Knows no sequences. */
import type { HiddenBasis } from '../models/hidden-basis.js'
import type { States } from './sequence.js'

/** Hidden states of one layer at a sequence's end: of the last token, and the mean over the pooled positions. */
export interface HiddenState { readonly last: Float32Array, readonly pooled: Float32Array }

/** Hidden states of the layers that were asked for. */
export class LayerStates implements States {
  readonly pooledTokens: number
  readonly states: ReadonlyMap<number, HiddenState>

  constructor (states: ReadonlyMap<number, HiddenState>, pooledTokens: number) {
    this.states = states
    this.pooledTokens = pooledTokens
  }

  hidden (layer: number): Float32Array { return this.#layer(layer).last }
  pooled (layer: number): Float32Array { return this.#layer(layer).pooled }

  #layer (layer: number): HiddenState {
    const state = this.states.get(layer)
    if (!state) throw new Error(`hidden states of layer ${layer} were not asked for when the sequence was opened`)
    return state
  }
}

/** A state as a forward pass computed it, brought into the model's basis when it is first read. */
class ComputedState implements HiddenState {
  readonly #own: (state: Float32Array) => Float32Array
  readonly #computed: HiddenState
  #last: Float32Array | null = null
  #pooled: Float32Array | null = null

  constructor (own: (state: Float32Array) => Float32Array, computed: HiddenState) {
    this.#own = own
    this.#computed = computed
  }

  get last (): Float32Array {
    this.#last ??= this.#own(this.#computed.last)
    return this.#last
  }

  get pooled (): Float32Array {
    this.#pooled ??= this.#own(this.#computed.pooled)
    return this.#pooled
  }
}

/** Running sums of hidden states over the pooled positions of a sequence, as forward passes compute them. */
export class HiddenSums {
  readonly #sums: ReadonlyMap<number, Float64Array>
  readonly #basis: HiddenBasis | null
  /** Positions summed. */
  #count: number

  private constructor (sums: ReadonlyMap<number, Float64Array>, basis: HiddenBasis | null, count: number) {
    this.#sums = sums
    this.#basis = basis
    this.#count = count
  }

  /**
   * @param size of a hidden state
   * @param basis how states are read
   */
  static of (layers: readonly number[], size: number, basis: HiddenBasis | null): HiddenSums {
    return new HiddenSums(new Map(layers.map(layer => [layer, new Float64Array(size)])), basis, 0)
  }

  get count (): number { return this.#count }

  fork (): HiddenSums {
    const sums = new Map([...this.#sums].map(([layer, sum]) => [layer, sum.slice()] as const))
    return new HiddenSums(sums, this.#basis, this.#count)
  }

  /**
   * Adds positions, less the first `skip`.
   * @param hidden by layer, [count, size]
   */
  add (count: number, skip: number, hidden: ReadonlyMap<number, Float32Array>): void {
    this.#count += Math.max(0, count - skip)
    for (const [layer, values] of hidden) {
      const sum = this.#sums.get(layer)
      if (sum) for (let i = skip * sum.length; i < count * sum.length; i++) sum[i % sum.length]! += values[i]!
    }
  }

  /** States at the end, by layer. @param hidden of the positions added last, [count, size] by layer */
  states (count: number, hidden: ReadonlyMap<number, Float32Array>): Map<number, HiddenState> {
    return new Map([...this.#sums].map(([layer, sum]) => {
      const pooled = new Float32Array(sum.length)
      if (this.#count > 0) for (let i = 0; i < sum.length; i++) pooled[i] = sum[i]! / this.#count
      const computed = { last: hidden.get(layer)!.slice((count - 1) * sum.length, count * sum.length), pooled }
      const basis = this.#basis
      return [layer, basis ? new ComputedState(state => basis(layer, state), computed) : computed]
    }))
  }
}
