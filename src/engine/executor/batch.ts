/**
 * The feeds of one run. Small input tensors are kept by shape, since a run in steady state would otherwise make the
 * same ones at every step. Knows the graph's input names and nothing of sequences.
 */
import { Tensor, type DataType } from '../../runtime/tensor.js'
import type { DecoderConfig } from '../../models/decoder-config.js'
import { partName } from '../../models/graph/run-shape.js'
import type { SharedPrompt } from '../kv/slots/kv-cache.js'

/** One part of a run as numbers. */
export interface PartInputs {
  /** Tokens in each row's slot after the run. */
  readonly lengths: readonly number[]
  /** The prompt that the rows share, outside their slots; null where there is none. */
  readonly prompt: SharedPrompt | null
  /** Positions of the sequence that is the part, in a run of several chunks. */
  readonly positions?: number
}

/** One run as numbers. */
export interface RunInputs {
  /** [batch, steps], row-major, the parts' rows one after the other. */
  readonly ids: readonly number[]
  readonly parts: readonly PartInputs[]
  /** Flat indices into ids whose logits are wanted, ≥ 1. */
  readonly rows: readonly number[]
  readonly inverseTemperatures: readonly number[]
}

/** Probes of one sequence as numbers. */
export interface ProbeInputs {
  readonly ids: readonly number[]
  /** Place of each id's token in the whole sequence: branches all begin where it ends. */
  readonly positions: readonly number[]
  /** [ids, ids], row-major: 0 where the one of the row sees the other, −∞ where it does not. */
  readonly branches: readonly number[]
  /** Tokens of the sequence that all of them follow. */
  readonly length: number
}

/** The inputs of one engine's runs. Run after run uses the same memory. */
export class RunFeeds {
  readonly #tensors = new Map<string, Tensor>()
  readonly #config: DecoderConfig
  /** As many ones as the longest sequence has key elements; pages come when they are first needed. */
  readonly #ones: Tensor
  #onesLength = 0
  /** The views of it that the run at hand reads. */
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

  /** Tensors for a run, valid until the next call. The KV cache's are the caller's to add. */
  fill ({ ids, parts, rows, inverseTemperatures }: RunInputs): Map<string, Tensor> {
    for (const view of this.#onesViews.splice(0)) view.dispose()
    const rowsByPart = parts.map(({ lengths, positions }) => positions ?? lengths.length)
    const batch = rowsByPart.reduce((sum, count) => sum + count, 0)
    const feeds = new Map([
      ['input_ids', this.#numbers('input_ids', 'int64', [batch, ids.length / batch], ids)],
      ['rows', this.#numbers('rows', 'int64', [rows.length], rows)],
      ['inverse_temperature', this.#numbers('inverse_temperature', 'float32', [rows.length, 1], inverseTemperatures)]
    ])
    if (parts.length > 1) feeds.set('rows_by_part', this.#numbers('rows_by_part', 'int64', [parts.length], rowsByPart))
    for (const [part, inputs] of parts.entries()) this.#fillPart(feeds, part, inputs)
    return feeds
  }

  /** Tensors for a run of probes, as `fill`. */
  fillProbes ({ ids, positions, branches, length }: ProbeInputs): Map<string, Tensor> {
    const count = ids.length
    const feeds = new Map([
      ['input_ids', this.#numbers('input_ids', 'int64', [1, count], ids)],
      ['positions', this.#numbers('positions', 'int64', [1, count], positions)],
      ['branches', this.#numbers('branches', 'float32', [1, 1, count, count], branches)],
      ['branch_pads', this.#numbers('branch_pads', 'int64', [8], [0, 0, 0, length, 0, 0, 0, 0])]
    ])
    this.#fillPart(feeds, 0, { lengths: [length + count], prompt: null })
    return feeds
  }

  #fillPart (feeds: Map<string, Tensor>, part: number, { lengths, prompt }: PartInputs): void {
    const longest = Math.max(...lengths)
    const set = (name: string, type: 'int32' | 'int64', dims: readonly number[], values: readonly number[]): void => {
      feeds.set(partName(part, name), this.#numbers(partName(part, name), type, dims, values))
    }
    // Wanted rows of a shared part are all as long; one that rides along may be shorter, and what it computes is
    // nobody's.
    set('seqlens_k', 'int32', [lengths.length], lengths.map(length => length - 1))
    set('total_sequence_length', 'int32', [1], [longest])
    if (!prompt) return
    set('positions', 'int64', [lengths.length, 1], new Array<number>(lengths.length).fill(prompt.length + longest - 1))
    set('lengths', 'int64', [2], [prompt.length, longest])
    set('rest_shape', 'int64', [3], [prompt.tensors[0]!.dims[0]!, -1, longest])
    feeds.set(partName(part, 'ones'), this.#onesOf(longest))
    const layers = prompt.tensors.length / 2
    for (const [index, tensor] of prompt.tensors.entries()) {
      feeds.set(partName(part, `prefix_${index < layers ? 'key' : 'value'}_${index % layers}`), tensor)
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
