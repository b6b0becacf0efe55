/**
 * What a step's passes write. The buffers are native memory for the largest step, lent row by row; before a step writes
 * over them, the rows that are still a sequence's current output are copied out.
 */
import type { DecoderConfig } from '../../../models/decoder-config.js'
import { topCount } from '../../../models/graph/decoder-graph.js'
import { Tensor } from '../../../runtime/tensor.js'
import type { HiddenState } from '../../hidden-states.js'
import { OutputRow } from '../output-row.js'

/** Where one pass writes. */
export interface PassOutputs {
  /** By the graph's names; to be disposed of after the pass. */
  readonly tensors: Map<string, Tensor>
  /** Row of the step that is the pass's first. */
  readonly firstRow: number
}

export class OutputBuffers {
  readonly #config: DecoderConfig
  readonly #top: number
  readonly #buffers: Readonly<Record<'logits' | 'top_logits' | 'top_ids' | 'peak', Tensor>>
  /** Low words of the ids, which are 64 bits wide and little-endian: they hold them. */
  readonly #idWords: Int32Array
  /** Hidden states of one pass by layer, [largest pass, D]; made when first asked for. */
  readonly #hidden = new Map<number, Tensor>()
  readonly #largestPass: number
  #rows = 0
  readonly #lent = new Set<OutputRow>()

  /**
   * @param maxRows rows of logits of a step, at most
   * @param largestPass positions of a pass, at most
   */
  constructor (config: DecoderConfig, maxRows: number, largestPass: number) {
    this.#config = config
    this.#largestPass = largestPass
    this.#top = Math.min(topCount, config.outputSize)
    this.#buffers = {
      logits: Tensor.allocate('float32', [maxRows, config.outputSize]),
      top_logits: Tensor.allocate('float32', [maxRows, this.#top]),
      top_ids: Tensor.allocate('int64', [maxRows, this.#top]),
      peak: Tensor.allocate('float32', [maxRows, 2])
    }
    const ids = this.#buffers.top_ids.data
    this.#idWords = new Int32Array(ids.buffer, ids.byteOffset, 2 * ids.length)
  }

  /** Begins a step: rows that are still held are copied out. */
  begin (): void {
    for (const row of this.#lent) if (row.holders > 0) row.detach()
    this.#lent.clear()
    this.#rows = 0
  }

  /**
   * For a pass of `rows` rows of logits over `positions` positions in each of `batch` rows, with hidden states of
   * `layers`.
   */
  forPass (rows: number, batch: number, positions: number, layers: Iterable<number>): PassOutputs {
    const firstRow = this.#rows
    this.#rows += rows
    const tensors = this.hiddenViews(batch, positions, layers)
    for (const [name, buffer] of Object.entries(this.#buffers)) {
      const width = buffer.dims[1]!
      tensors.set(name, buffer.view(firstRow * width, [rows, width]))
    }
    return { tensors, firstRow }
  }

  /** Views for the hidden states of a pass, by name; the caller disposes of them. */
  hiddenViews (batch: number, positions: number, layers: Iterable<number>): Map<string, Tensor> {
    return new Map([...layers].map(layer =>
      [`hidden_${layer}`, this.#hiddenBuffer(layer).view(0, [batch, positions, this.#config.hiddenSize])]))
  }

  /** By layer the hidden states of a pass's positions [first, first + count). Valid until the next pass. */
  hidden (layers: Iterable<number>, first: number, count: number): Map<number, Float32Array> {
    const size = this.#config.hiddenSize
    return new Map([...layers].map(layer => {
      const values = this.#hiddenBuffer(layer).data as Float32Array
      return [layer, values.subarray(first * size, (first + count) * size)]
    }))
  }

  /** One row of the step, lent: it is copied out if it is held when the next step begins. */
  row (
    index: number, inverseTemperature: number, states: ReadonlyMap<number, HiddenState>, pooledTokens: number
  ): OutputRow {
    const floats = (name: 'logits' | 'top_logits' | 'peak'): Float32Array => this.#buffers[name].data as Float32Array
    const { outputSize } = this.#config
    const [from, peak] = [index * this.#top, floats('peak')]
    const topLogits = floats('top_logits').slice(from, from + this.#top)
    const largest = topLogits[0]!
    const row = new OutputRow({
      size: outputSize,
      logits: floats('logits').subarray(index * outputSize, (index + 1) * outputSize),
      topLogits,
      topIds: Int32Array.from({ length: this.#top }, (_, rank) => this.#idWords[2 * (from + rank)]!),
      // The largest probability is e^(largest logit − log-normaliser).
      logNormalizer: largest - Math.log(peak[2 * index]!),
      temperedLogNormalizer: largest * inverseTemperature - Math.log(peak[2 * index + 1]!)
    }, states, pooledTokens)
    this.#lent.add(row)
    return row
  }

  #hiddenBuffer (layer: number): Tensor {
    let buffer = this.#hidden.get(layer)
    if (!buffer) {
      buffer = Tensor.allocate('float32', [this.#largestPass, this.#config.hiddenSize])
      this.#hidden.set(layer, buffer)
    }
    return buffer
  }

  dispose (): void {
    for (const tensor of [...Object.values(this.#buffers), ...this.#hidden.values()]) tensor.dispose()
    this.#hidden.clear()
  }
}
