/** KV of a prompt that several sequences share, outside their slots. Its memory goes with the last holder. */
import type { Tensor } from '../../../runtime/tensor.js'

/** Held once when it is made. */
export class SharedPrompt {
  readonly length: number
  /** [kv heads, length, head size] per layer: keys of all, then values of all. */
  readonly tensors: readonly Tensor[]
  #holders = 1

  constructor (length: number, tensors: readonly Tensor[]) {
    this.length = length
    this.tensors = tensors
  }

  hold (): this {
    this.#holders++
    return this
  }

  release (): void {
    if (--this.#holders === 0) for (const tensor of this.tensors) tensor.dispose()
  }
}
