/**
 * The executor of the CPU: runs ONNX graphs over the slots of host memory, one pass after the other. What a pass of
 * several sub-batches needs is a graph of its own; while it is being compiled they run apart, with the same bits.
 */
import type { DecoderConfig } from '../../../models/decoder-config.js'
import { describeShape, probeShape, type RunShape } from '../../../models/graph/run-shape.js'
import type { HiddenBasis } from '../../../models/hidden-basis.js'
import type { Session } from '../../../runtime/session.js'
import type { PassProfile } from '../../device-profile.js'
import type { KvSequence } from '../../kv/kv-manager.js'
import type { SlotManager } from '../../kv/slots/slot-manager.js'
import { slotsPerSlab } from '../../kv/slots/slot-memory.js'
import type { ScheduledBatch } from '../../scheduler/scheduler.js'
import type { ExecutableSequence, Executor, ExecutorCounters, PassOutput, SequenceOutput } from '../executor.js'
import {
  decodeSubBatches, nextDecodePass, nextPrefillPass, passShape, prefillSubBatches, type Pass, type SubBatch
} from './batch-planner.js'
import { InputTensors } from './input-tensors.js'
import { OutputBuffers } from './output-buffers.js'
import { passInputs, probeInputs, type PassInputs, type Place } from './pass-inputs.js'

/** What the CPU runs. */
export interface CausalModel {
  readonly config: DecoderConfig
  /** How its hidden states are read. Default: as they are. */
  readonly hiddenBasis?: HiddenBasis | null
  /** Whether rows can share their prompt's KV, with bits that do not depend on each other. */
  readonly canSharePrefix: boolean
  /** Whether a row more costs little: its 8-bit integers are multiplied by instructions made for it. Default no. */
  readonly hasCheapRows?: boolean
  /** The simple shapes are always there; for others it may give null. */
  readonly sessions: {
    find (shape: RunShape): Pick<Session, 'run'> | null
    /** Waits until a shape is there, if it can be. */
    prepare (shape: RunShape): Promise<void>
  }
}

export interface CpuExecutorOptions {
  /** Longest sequence, tokens. */
  readonly contextLength: number
  /** Prompt tokens read in one step. */
  readonly prefillTokensPerStep: number
  /** Run short chunks of several sequences together: for an engine that reads many. Default no. */
  readonly joinsChunks?: boolean
}

/** Layers that a probe runs: at least one, beside the embedding. */
const probeDepth = (layers: readonly number[]): number => Math.max(1, ...layers)

export class CpuExecutor<S extends ExecutableSequence & KvSequence> implements Executor<S> {
  readonly counters: ExecutorCounters =
    { runs: 0, decodeRows: 0, paddingRows: 0, prefillTokens: 0, probedTokens: 0, forwardMs: 0 }

  readonly deviceCounters = null
  readonly #model: CausalModel
  readonly #slots: SlotManager<S>
  readonly #profile: PassProfile
  readonly #options: CpuExecutorOptions
  readonly #inputs: InputTensors
  readonly #outputs: OutputBuffers

  constructor (model: CausalModel, slots: SlotManager<S>, profile: PassProfile, options: CpuExecutorOptions) {
    this.#model = model
    this.#slots = slots
    this.#profile = profile
    this.#options = options
    this.#inputs = new InputTensors(model.config, options.contextLength)
    const [largestChunk, maxRows] =
      [options.prefillTokensPerStep + 1, (1 + profile.maxSharedSubBatches) * slotsPerSlab]
    this.#outputs = new OutputBuffers(model.config, slots.count + options.prefillTokensPerStep,
      Math.max(maxRows, largestChunk))
  }

  get hiddenSize (): number { return this.#model.config.hiddenSize }
  get hiddenBasis (): HiddenBasis | null { return this.#model.hiddenBasis ?? null }
  get canSharePrompts (): boolean { return this.#model.canSharePrefix }

  async * execute ({ decode, prefill }: Pick<ScheduledBatch<S>, 'decode' | 'prefill'>): AsyncGenerator<PassOutput<S>> {
    this.#outputs.begin()
    const { passCostInRows } = this.#profile
    const isReady = (shape: RunShape): boolean => this.#model.sessions.find(shape) !== null
    // Both before the first pass: while one runs, sequences are closed and then have no place.
    const rows = decodeSubBatches(decode, this.#slots, this.#options.contextLength, passCostInRows)
    const chunks = prefillSubBatches(prefill, this.#slots)
    yield * this.#passes(rows, left => nextDecodePass(left, isReady, this.#profile))
    const joins = this.#options.joinsChunks === true
    yield * this.#passes(chunks, left => nextPrefillPass(left, shape => joins && isReady(shape), this.#profile))
  }

  /** Runs sub-batches, those of a pass together. */
  async * #passes (
    subBatches: ReadonlyArray<SubBatch<S>>, next: (left: ReadonlyArray<SubBatch<S>>) => Pass<S>
  ): AsyncGenerator<PassOutput<S>> {
    for (let left = wanted(subBatches); left.length > 0;) {
      const pass = next(left)
      yield await this.#run(pass)
      left = wanted(left.filter(subBatch => !pass.subBatches.includes(subBatch)))
    }
  }

  async #run (pass: Pass<S>): Promise<PassOutput<S>> {
    const sequences = pass.subBatches.flatMap(({ rows }) => rows.map(({ sequence }) => sequence))
    const { inputs, places } = passInputs(pass, slot => this.#slots.nextPosition(slot))
    const { ids, rows } = inputs
    const batch = pass.isPrefill && sequences.length === 1 ? 1 : ids.length
    const layers = new Set(sequences.flatMap(sequence => sequence.layers))
    const { tensors, firstRow } = this.#outputs.forPass(rows.length, batch, ids.length / batch, layers)
    const [feeds, fetches] = [this.#inputs.fill(inputs), new Map(tensors)]
    for (const [index, { slot, count }] of pass.subBatches.entries()) {
      this.#inputs.bindKv(index, this.#slots.memory.views(slot, count), feeds, fetches)
    }
    // Its sequences may be closed while it runs; what it reads stays.
    for (const { prompt } of pass.subBatches) prompt?.hold()
    try {
      await this.#forward(passShape(pass), feeds, fetches)
      this.#count(pass, inputs)
      const outputs = sequences.map((sequence, index) => this.#outputOf(sequence, places[index]!, firstRow))
      return { sequences, outputs }
    } catch (error) {
      return { sequences, outputs: null, error }
    } finally {
      for (const { prompt } of pass.subBatches) prompt?.release()
      for (const view of tensors.values()) view.dispose()
    }
  }

  async #forward (shape: RunShape, ...[feeds, fetches]: Parameters<Session['run']>): Promise<void> {
    const started = performance.now()
    await this.#model.sessions.find(shape)!.run(feeds, fetches)
    this.counters.forwardMs += performance.now() - started
  }

  #outputOf (
    { layers, inverseTemperature }: S, { positions, first, lastRow }: Place, firstRow: number
  ): SequenceOutput {
    const offset = firstRow + lastRow - positions + 1
    return {
      numNewTokens: positions,
      hidden: this.#outputs.hidden(layers, first, positions),
      row: (position, states, pooledTokens) =>
        this.#outputs.row(offset + position, inverseTemperature, states, pooledTokens)
    }
  }

  async prepareProbes (layers: readonly number[]): Promise<void> {
    const shape = probeShape(probeDepth(layers))
    await this.#model.sessions.prepare(shape)
    if (!this.#model.sessions.find(shape)) throw new Error(`the model cannot be run for a ${describeShape(shape)}`)
  }

  /** It writes where the next tokens' KV will be. */
  async probe (sequence: S, branches: ReadonlyArray<readonly number[]>): Promise<ReadonlyMap<number, Float32Array>> {
    const [{ layers }, depth] = [sequence, probeDepth(sequence.layers)]
    const inputs = probeInputs(sequence.tokens.length, branches)
    const count = inputs.ids.length
    const hidden = this.#outputs.hiddenViews(1, count, new Set(layers))
    const [feeds, fetches] = [this.#inputs.fillProbes(inputs), new Map(hidden)]
    this.#inputs.bindKv(0, this.#slots.memory.views(this.#slots.placement(sequence).slot, 1, depth), feeds, fetches)
    try {
      await this.#forward(probeShape(depth), feeds, fetches)
      this.counters.runs++
      this.counters.probedTokens += count
      return this.#outputs.hidden(layers, 0, count)
    } finally {
      for (const view of hidden.values()) view.dispose()
    }
  }

  #count ({ isPrefill }: Pass<S>, { ids, rows }: PassInputs): void {
    this.counters.runs++
    if (isPrefill) {
      this.counters.prefillTokens += ids.length
      return
    }
    this.counters.decodeRows += ids.length
    this.counters.paddingRows += ids.length - rows.length
  }

  dispose (): void {
    this.#outputs.dispose()
    this.#inputs.dispose()
  }
}

/** Sub-batches without those whose sequences were closed: their slots are padding now, or in none. */
function wanted<S extends ExecutableSequence & KvSequence> (
  subBatches: ReadonlyArray<SubBatch<S>>
): Array<SubBatch<S>> {
  return subBatches.map(subBatch => ({ ...subBatch, rows: subBatch.rows.filter(({ sequence }) => !sequence.isClosed) }))
    .filter(({ rows }) => rows.length > 0)
}
