/**
 * The feeds of one run. Small input tensors are kept by shape, since a run in steady state would otherwise make the same ones at
 * every step. Knows the graph's input names and nothing of sequences.
 */
import { Tensor, type DataType } from '../runtime/tensor.js'
import type { DecoderConfig } from '../models/decoder-config.js'
import type { KvSnapshot } from './kv-cache.js'

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
  /** Where rows share a prompt: it, and what each row has of its own after the run; `lengths` leaves the prompt out. */
  readonly shared: { readonly prompt: KvSnapshot, readonly ownLength: number } | null
}

export class RunFeeds {
  readonly #tensors = new Map<string, Tensor>()
  /** Ones for the longest sequence, [context length, head size]; pages come when they are first needed. */
  readonly #ones: Tensor
  #onesLength = 0
  #onesView: Tensor | null = null

  constructor ({ headSize }: DecoderConfig, contextLength: number) {
    this.#ones = Tensor.allocate('float32', [contextLength, headSize])
  }

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
  fill ({ ids, batch, lengths, rows, inverseTemperatures, shared }: RunInputs): Map<string, Tensor> {
    const lengthsTensor = this.#tensor('seqlens_k', 'int32', [batch])
    const total = this.#tensor('total_sequence_length', 'int32', [1])
    const temperatures = this.#tensor('inverse_temperature', 'float32', [rows.length, 1])
    for (const [index, length] of lengths.entries()) lengthsTensor.data[index] = length - 1
    total.data[0] = shared ? shared.ownLength : Math.max(...lengths)
    for (const [index, value] of inverseTemperatures.entries()) temperatures.data[index] = value
    return new Map([
      ['input_ids', this.#integers('input_ids', [batch, ids.length / batch], ids)],
      ['seqlens_k', lengthsTensor],
      ['total_sequence_length', total],
      ['rows', this.#integers('rows', [rows.length], rows)],
      ['inverse_temperature', temperatures],
      ...shared ? this.#sharedFeeds(shared, batch) : []
    ])
  }

  #sharedFeeds ({ prompt, ownLength }: NonNullable<RunInputs['shared']>, batch: number): Array<[string, Tensor]> {
    const layers = prompt.tensors.length / 2
    return [
      ['positions', this.#integers('positions', [batch, 1], new Array<number>(batch).fill(prompt.length + ownLength - 1))],
      ['parts', this.#integers('parts', [2], [prompt.length, ownLength])],
      ['rest_shape', this.#integers('rest_shape', [3], [prompt.tensors[0]!.dims[0]!, -1, ownLength])],
      ['ones', this.#onesOf(ownLength)],
      ...prompt.tensors.map((tensor, index): [string, Tensor] => [`prefix_${index < layers ? 'key' : 'value'}_${index % layers}`, tensor])
    ]
  }

  /** Ones, [length, head size]; one view at a time. */
  #onesOf (length: number): Tensor {
    const headSize = this.#ones.dims[1]!
    if (length > this.#onesLength) {
      this.#ones.data.fill(1 as never, this.#onesLength * headSize, length * headSize)
      this.#onesLength = length
    }
    this.#onesView?.dispose()
    this.#onesView = this.#ones.view(0, [length, headSize])
    return this.#onesView
  }

  dispose (): void {
    this.#onesView?.dispose()
    this.#ones.dispose()
    for (const tensor of this.#tensors.values()) tensor.dispose()
    this.#tensors.clear()
  }
}
