/**
 * The feeds of one run. Small input tensors are kept by shape, since a run in steady state would otherwise make the same ones at
 * every step. Knows the graph's input names and nothing of sequences.
 */
import { Tensor, type DataType } from '../runtime/tensor.js'

/** One run as numbers. */
export interface RunInputs {
  /** [batch, steps], row-major. */
  readonly ids: readonly number[]
  readonly batch: number
  /** Tokens of each sequence after the run. */
  readonly lengths: readonly number[]
  /** Flat indices into ids whose logits are wanted, ≥ 1. */
  readonly rows: readonly number[]
  readonly inverseTemperatures: readonly number[]
}

export class RunFeeds {
  readonly #tensors = new Map<string, Tensor>()

  #tensor (name: string, type: DataType, dims: readonly number[]): Tensor {
    const key = `${name}[${dims.join()}]`
    let tensor = this.#tensors.get(key)
    if (!tensor) {
      tensor = Tensor.allocate(type, dims)
      this.#tensors.set(key, tensor)
    }
    return tensor
  }

  #integers (name: string, dims: readonly number[], values: readonly number[]): Tensor {
    const tensor = this.#tensor(name, 'int64', dims)
    const data = tensor.data as BigInt64Array
    for (let i = 0; i < values.length; i++) data[i] = BigInt(values[i]!)
    return tensor
  }

  /** Tensors for a run, valid until the next call. The KV cache's are the caller's to add. */
  fill ({ ids, batch, lengths, rows, inverseTemperatures }: RunInputs): Map<string, Tensor> {
    const lengthsTensor = this.#tensor('seqlens_k', 'int32', [batch])
    const total = this.#tensor('total_sequence_length', 'int32', [1])
    const temperatures = this.#tensor('inverse_temperature', 'float32', [rows.length, 1])
    for (const [index, length] of lengths.entries()) lengthsTensor.data[index] = length - 1
    total.data[0] = Math.max(...lengths)
    for (const [index, value] of inverseTemperatures.entries()) temperatures.data[index] = value
    return new Map([
      ['input_ids', this.#integers('input_ids', [batch, ids.length / batch], ids)],
      ['seqlens_k', lengthsTensor],
      ['total_sequence_length', total],
      ['rows', this.#integers('rows', [rows.length], rows)],
      ['inverse_temperature', temperatures]
    ])
  }

  dispose (): void {
    for (const tensor of this.#tensors.values()) tensor.dispose()
    this.#tensors.clear()
  }
}
