/**
 * A pass's numbers and KV as the graph's inputs and outputs. Small input tensors are kept by shape, since passes in
 * steady state would otherwise make the same ones at every step. Knows the graph's names and nothing of sequences.
 */
import type { DecoderConfig } from '../../../models/decoder-config.js'
import { partName } from '../../../models/graph/run-shape.js'
import { Tensor, type DataType } from '../../../runtime/tensor.js'
import type { KvViews } from '../../kv/slots/slot-memory.js'
import type { PassInputs, ProbeInputs, SubBatchInputs } from './pass-inputs.js'

/** Names of one sub-batch's KV in the graph, by layer. */
type KvNames = Readonly<Record<'pastKeys' | 'pastValues' | 'presentKeys' | 'presentValues', readonly string[]>>

/** The inputs of one executor's passes. Pass after pass uses the same memory. */
export class InputTensors {
  readonly #tensors = new Map<string, Tensor>()
  readonly #config: DecoderConfig
  /** By sub-batch. */
  readonly #kvNames: KvNames[] = []
  /** As many ones as the longest sequence has key elements; pages come when they are first needed. */
  readonly #ones: Tensor
  #onesLength = 0
  /** The views of it that the pass at hand reads. */
  readonly #onesViews: Tensor[] = []

  constructor (config: DecoderConfig, contextLength: number) {
    this.#config = config
    this.#ones = Tensor.allocate('float32', [config.kvHeads * contextLength * config.headSize])
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

  #numbers (
    name: string, type: 'int32' | 'int64' | 'float32', dims: readonly number[], values: readonly number[]
  ): Tensor {
    const tensor = this.#tensor(name, type, dims)
    if (type === 'int64') for (let i = 0; i < values.length; i++) tensor.data[i] = BigInt(values[i]!)
    else for (let i = 0; i < values.length; i++) tensor.data[i] = values[i]!
    return tensor
  }

  /** Tensors for a pass, valid until the next call, but those of `bindKv`. */
  fill ({ ids, subBatches, rows, inverseTemperatures }: PassInputs): Map<string, Tensor> {
    for (const view of this.#onesViews.splice(0)) view.dispose()
    const counts = subBatches.map(({ lengths, positions }) => positions ?? lengths.length)
    const batch = counts.reduce((sum, count) => sum + count, 0)
    const feeds = new Map([
      ['input_ids', this.#numbers('input_ids', 'int64', [batch, ids.length / batch], ids)],
      ['rows', this.#numbers('rows', 'int64', [rows.length], rows)],
      ['inverse_temperature', this.#numbers('inverse_temperature', 'float32', [rows.length, 1], inverseTemperatures)]
    ])
    if (counts.length > 1) feeds.set('rows_by_part', this.#numbers('rows_by_part', 'int64', [counts.length], counts))
    for (const [index, inputs] of subBatches.entries()) this.#fillSubBatch(feeds, index, inputs)
    return feeds
  }

  /** Tensors for a pass of probes, as `fill`. */
  fillProbes ({ ids, positions, branches, length }: ProbeInputs): Map<string, Tensor> {
    const count = ids.length
    const feeds = new Map([
      ['input_ids', this.#numbers('input_ids', 'int64', [1, count], ids)],
      ['positions', this.#numbers('positions', 'int64', [1, count], positions)],
      ['branches', this.#numbers('branches', 'float32', [1, 1, count, count], branches)],
      ['branch_pads', this.#numbers('branch_pads', 'int64', [8], [0, 0, 0, length, 0, 0, 0, 0])]
    ])
    this.#fillSubBatch(feeds, 0, { lengths: [length + count], prompt: null })
    return feeds
  }

  /** Adds a sub-batch's KV, which is read and written in place. */
  bindKv (index: number, { keys, values }: KvViews, feeds: Map<string, Tensor>, fetches: Map<string, Tensor>): void {
    const { pastKeys, pastValues, presentKeys, presentValues } = this.#kvNamesOf(index)
    for (let layer = 0; layer < keys.length; layer++) {
      feeds.set(pastKeys[layer]!, keys[layer]!)
      feeds.set(pastValues[layer]!, values[layer]!)
      fetches.set(presentKeys[layer]!, keys[layer]!)
      fetches.set(presentValues[layer]!, values[layer]!)
    }
  }

  #kvNamesOf (index: number): KvNames {
    const names = (name: string): string[] =>
      Array.from({ length: this.#config.layers }, (_, layer) => partName(index, `${name}_${layer}`))
    this.#kvNames[index] ??= {
      pastKeys: names('past_key'),
      pastValues: names('past_value'),
      presentKeys: names('present_key'),
      presentValues: names('present_value')
    }
    return this.#kvNames[index]
  }

  #fillSubBatch (feeds: Map<string, Tensor>, index: number, { lengths, prompt }: SubBatchInputs): void {
    const longest = Math.max(...lengths)
    const set = (name: string, type: 'int32' | 'int64', dims: readonly number[], values: readonly number[]): void => {
      feeds.set(partName(index, name), this.#numbers(partName(index, name), type, dims, values))
    }
    // Wanted rows after a shared prompt are all as long; a padding row may be shorter: its output is discarded.
    set('seqlens_k', 'int32', [lengths.length], lengths.map(length => length - 1))
    set('total_sequence_length', 'int32', [1], [longest])
    if (!prompt) return
    set('positions', 'int64', [lengths.length, 1], new Array<number>(lengths.length).fill(prompt.length + longest - 1))
    set('lengths', 'int64', [2], [prompt.length, longest])
    set('rest_shape', 'int64', [3], [this.#config.kvHeads, -1, longest])
    feeds.set(partName(index, 'ones'), this.#onesOf(longest))
    const { layers } = this.#config
    for (const [at, tensor] of prompt.tensors.entries()) {
      feeds.set(partName(index, `prefix_${at < layers ? 'key' : 'value'}_${at % layers}`), tensor)
    }
  }

  /** Ones, [kv heads, length, head size]. */
  #onesOf (length: number): Tensor {
    const { kvHeads, headSize } = this.#config
    const size = kvHeads * headSize
    if (length > this.#onesLength) {
      this.#ones.data.fill(1 as never, this.#onesLength * size, length * size)
      this.#onesLength = length
    }
    const view = this.#ones.view(0, [kvHeads, length, headSize])
    this.#onesViews.push(view)
    return view
  }

  dispose (): void {
    for (const view of this.#onesViews) view.dispose()
    this.#ones.dispose()
    for (const tensor of this.#tensors.values()) tensor.dispose()
    this.#tensors.clear()
  }
}
