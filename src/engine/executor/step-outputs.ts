/**
 * What a step's runs write, and the rows of it that sequences hold. The buffers are native memory for the largest step;
 * before a step writes over them, the rows that are still somebody's current output are copied out.
 */
import { topCount } from '../../models/graph/decoder-graph.js'
import type { DecoderConfig } from '../../models/decoder-config.js'
import { Tensor } from '../../runtime/tensor.js'
import { LayerStates, type HiddenState } from './hidden-states.js'
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

  constructor (row: {
    logits: Float32Array,
    topIds: Int32Array,
    topLogits: Float32Array,
    peak: readonly [number, number],
    inverseTemperature: number
  }, hidden: ReadonlyMap<number, HiddenState>, pooledTokens: number) {
    super(hidden, pooledTokens)
    this.size = row.logits.length
    this.topIds = row.topIds
    this.topLogits = row.topLogits
    const largest = row.topLogits[0]!
    // The largest probability is e^(largest logit − log-normaliser).
    this.logNormalizer = largest - Math.log(row.peak[0])
    this.temperedLogNormalizer = largest * row.inverseTemperature - Math.log(row.peak[1])
    this.#logits = row.logits
  }

  get distribution (): Distribution { return this }
  get logits (): Float32Array { return this.#logits }

  /** Copies the lent row, so that the buffer can be written over. */
  detach (): void { this.#logits = this.#logits.slice() }
}

/** Views for one run, and what they need to be fetched. */
export interface RunOutputs {
  readonly tensors: Map<string, Tensor>
  /** Reads row `index` of this run after it. */
  row (index: number, inverseTemperature: number): ConstructorParameters<typeof OutputRow>[0]
  dispose (): void
}

/** Memory for the outputs of one engine's runs, lent row by row. */
export class StepOutputs {
  readonly #config: DecoderConfig
  readonly #top: number
  readonly #buffers: ReadonlyMap<string, Tensor>
  /** Hidden states of one run by layer, [largest run, D]; made when first asked for. */
  readonly #hidden = new Map<number, Tensor>()
  readonly #largestRun: number
  #rows = 0
  readonly #lent = new Set<OutputRow>()

  /**
   * @param maxRows rows of a step, at most
   * @param largestRun positions of a run, at most
   */
  constructor (config: DecoderConfig, maxRows: number, largestRun: number) {
    this.#config = config
    this.#largestRun = largestRun
    this.#top = Math.min(topCount, config.outputSize)
    this.#buffers = new Map([
      ['logits', Tensor.allocate('float32', [maxRows, config.outputSize])],
      ['top_logits', Tensor.allocate('float32', [maxRows, this.#top])],
      ['top_ids', Tensor.allocate('int64', [maxRows, this.#top])],
      ['peak', Tensor.allocate('float32', [maxRows, 2])]
    ])
  }

  /** Begins a step: rows that are still held are copied out. */
  begin (): void {
    for (const row of this.#lent) if (row.holders > 0) row.detach()
    this.#lent.clear()
    this.#rows = 0
  }

  /**
   * Buffers for a run of `rows` logits rows over `positions` positions in `batch` sequences, with hidden states of
   * `layers`.
   */
  forRun (rows: number, batch: number, positions: number, layers: Iterable<number>): RunOutputs {
    const first = this.#rows
    this.#rows += rows
    const views = new Map([...this.#buffers].map(([name, buffer]) => {
      const width = buffer.dims[1]!
      return [name, buffer.view(first * width, [rows, width])]
    }))
    for (const [name, view] of this.hiddenViews(batch, positions, layers)) views.set(name, view)
    const data = (name: string): Float32Array => views.get(name)!.data as Float32Array
    const ids = new Int32Array(views.get('top_ids')!.data.buffer, views.get('top_ids')!.data.byteOffset,
      2 * rows * this.#top)
    return {
      tensors: views,
      row: (index, inverseTemperature) => ({
        logits: data('logits').subarray(index * this.#config.outputSize, (index + 1) * this.#config.outputSize),
        topLogits: data('top_logits').slice(index * this.#top, (index + 1) * this.#top),
        // Ids are 64 bits wide, little-endian; the low words hold them.
        topIds: Int32Array.from({ length: this.#top }, (_, rank) => ids[2 * (index * this.#top + rank)]!),
        peak: [data('peak')[2 * index]!, data('peak')[2 * index + 1]!],
        inverseTemperature
      }),
      dispose: () => { for (const view of views.values()) view.dispose() }
    }
  }

  /** Views for the hidden states of a run, by name, valid until the next; the caller disposes of them. */
  hiddenViews (batch: number, positions: number, layers: Iterable<number>): Map<string, Tensor> {
    return new Map([...layers].map(layer =>
      [`hidden_${layer}`, this.#hiddenBuffer(layer).view(0, [batch, positions, this.#config.hiddenSize])]))
  }

  /** Remembers that a row points into the buffers. */
  lend (row: OutputRow): OutputRow {
    this.#lent.add(row)
    return row
  }

  #hiddenBuffer (layer: number): Tensor {
    let buffer = this.#hidden.get(layer)
    if (!buffer) {
      buffer = Tensor.allocate('float32', [this.#largestRun, this.#config.hiddenSize])
      this.#hidden.set(layer, buffer)
    }
    return buffer
  }

  dispose (): void {
    for (const tensor of [...this.#buffers.values(), ...this.#hidden.values()]) tensor.dispose()
    this.#hidden.clear()
  }
}
