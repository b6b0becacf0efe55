/**
 * The executor of a device: packs what was scheduled into passes of one attention kernel each and runs them over the
 * blocks of its KV manager. Logits beside the listed ones stay on the device unless a sequence wants them. Probes are
 * forks that are dropped. A device that is lost is opened again; the pass under way fails, and whatever else was in its
 * memory is run again.
 */
import {
  DeviceLostError, type DecoderCounters, type DeviceDecoder, type PackedOutput
} from '../../../models/device/device-decoder.js'
import { decodeRun } from '../../kv/history.js'
import type { PagedManager, PagedSequence } from '../../kv/paged/paged-manager.js'
import type { ScheduledBatch } from '../../scheduler/scheduler.js'
import type { ExecutableSequence, Executor, ExecutorCounters, PassOutput, SequenceOutput } from '../executor.js'
import { Branches } from './branches.js'
import { packPass, type Packed, type PackedPart, type Place } from './pack-pass.js'
import { planPasses, type Part, type PassLimits, type PlannedPass } from './pass-planner.js'
import { rowOf } from './rows.js'

/** An open sequence as the executor of a device sees it. */
export interface DeviceSequence extends ExecutableSequence {
  /** How its next tokens are run: see kv/history.ts. */
  readonly nextRun: number
  /** Whether they are run again because their KV was given up: only the last one's distribution may be wanted. */
  readonly isRestored: boolean
  /** Whether all logits are wanted, beside those listed. */
  readonly wantsLogits: boolean
  /** First position whose hidden states are pooled: of others only the last one's are wanted. */
  readonly poolFrom: number
}

/** Where a device executor runs. */
export interface OpenedDevice {
  readonly decoder: DeviceDecoder
  /** Opens it anew, with an empty cache of the same size. */
  readonly reopen: () => Promise<DeviceDecoder>
}

export class DeviceExecutor<S extends DeviceSequence & PagedSequence> implements Executor<S> {
  readonly counters: ExecutorCounters =
    { runs: 0, decodeRows: 0, paddingRows: 0, prefillTokens: 0, probedTokens: 0, forwardMs: 0 }

  readonly hiddenSize: number
  readonly hiddenBasis = null
  /** Nothing is stored apart: forks hold their parent's blocks. */
  readonly canSharePrompts = false

  readonly #reopen: OpenedDevice['reopen']
  readonly #kv: PagedManager<S>
  readonly #limits: PassLimits
  /** Null while it is lost and cannot be opened. */
  #decoder: DeviceDecoder | null

  constructor ({ decoder, reopen }: OpenedDevice, kv: PagedManager<S>, limits: PassLimits) {
    this.#decoder = decoder
    this.#reopen = reopen
    this.#kv = kv
    this.#limits = limits
    this.hiddenSize = decoder.hiddenSize
  }

  get deviceCounters (): Readonly<DecoderCounters> | null { return this.#decoder?.counters ?? null }

  async * execute (batch: Pick<ScheduledBatch<S>, 'decode' | 'prefill'>): AsyncGenerator<PassOutput<S>> {
    const decoder = await this.#opened()
    await this.#copy(decoder)
    const failed = new Set<S>()
    for (const { run, parts } of planPasses(batch, this.#limits)) {
      const left = parts.filter(({ sequence }) => !sequence.isClosed && !failed.has(sequence))
      if (left.length === 0) continue
      const output = await this.#run(decoder, { run, parts: left })
      if (!output.outputs) for (const sequence of output.sequences) failed.add(sequence)
      yield output
      // What has not run yet has no KV now.
      if (this.#decoder !== decoder) return
    }
  }

  async #opened (): Promise<DeviceDecoder> {
    this.#decoder ??= await this.#reopen()
    return this.#decoder
  }

  /** Copies that the KV manager noted down. If they fail, nobody knows what is where: all KV is computed again. */
  async #copy (decoder: DeviceDecoder): Promise<void> {
    const copies = this.#kv.takeCopies()
    if (copies.length === 0) return
    try {
      await decoder.copyBlocks(copies)
    } catch (error) {
      this.#kv.reset()
      throw await this.#failure(error)
    }
  }

  async #run (decoder: DeviceDecoder, { run, parts }: PlannedPass<S>): Promise<PassOutput<S>> {
    const sequences = parts.map(({ sequence }) => sequence)
    const layers = layersOf(parts.filter(({ sequence }) => !sequence.isRestored))
    const listsAll = decoder.topK === decoder.outputSize
    const packed = packPass(parts.map(part => this.#packed(part, listsAll)), run, layers, decoder.maxBlocksPerSequence)
    try {
      const output = await this.#forward(() => decoder.run(packed.pass))
      this.#count(run, packed)
      const outputs =
        parts.map((part, index) => this.#outputOf(part, packed.places[index]!, output, decoder.outputSize))
      return { sequences, outputs }
    } catch (error) {
      return { sequences, outputs: null, error: await this.#failure(error) }
    }
  }

  #packed ({ sequence, numNewTokens }: Part<S>, listsAll: boolean): PackedPart {
    const { numComputedTokens: past, isRestored, layers, poolFrom } = sequence
    return {
      tokens: sequence.tokens.slice(past, past + numNewTokens),
      past,
      blocks: this.#kv.blocks(sequence),
      firstRow: sequence.wantsEveryPosition ? 0 : numNewTokens - 1,
      wantsLogits: sequence.wantsLogits && !listsAll,
      inverseTemperature: sequence.inverseTemperature,
      firstState: isRestored || layers.length === 0
        ? numNewTokens
        : Math.max(0, Math.min(poolFrom - past, numNewTokens - 1))
    }
  }

  async #forward<T> (run: () => Promise<T>): Promise<T> {
    const started = performance.now()
    const output = await run()
    this.counters.forwardMs += performance.now() - started
    this.counters.runs++
    return output
  }

  #outputOf (
    { sequence, numNewTokens }: Part<S>, place: Place, output: PackedOutput, size: number
  ): SequenceOutput {
    const { layers, isRestored, poolFrom, numComputedTokens: past, wantsEveryPosition } = sequence
    const firstState = Math.max(0, Math.min(poolFrom - past, numNewTokens - 1))
    const firstRow = wantsEveryPosition ? 0 : numNewTokens - 1
    return {
      numNewTokens,
      hidden: isRestored
        ? new Map()
        : new Map(layers.map(layer => [layer, this.#states(output, layer, place.state, firstState, numNewTokens)])),
      row: (position, states, pooledTokens) =>
        rowOf(output, place.row + position - firstRow, size, states, pooledTokens)
    }
  }

  /** States of a part's positions, zeros before the first that was asked for. */
  #states (output: PackedOutput, layer: number, from: number, first: number, count: number): Float32Array {
    const size = this.hiddenSize
    const states = new Float32Array(count * size)
    states.set(output.hidden.get(layer)!.subarray(from * size, (from + count - first) * size), first * size)
    return states
  }

  async prepareProbes (layers: readonly number[]): Promise<void> {
    await (await this.#opened()).prepare(layersOf([{ sequence: { layers } }]), false)
  }

  async probe (sequence: S, branches: ReadonlyArray<readonly number[]>): Promise<ReadonlyMap<number, Float32Array>> {
    const decoder = await this.#opened()
    const layers = layersOf([{ sequence }])
    if (layers.length === 0) return new Map()
    const probes = new Branches(sequence.tokens.length, this.#kv.blocks(sequence), branches, decoder.blockSize)
    const size = this.hiddenSize
    const hidden = new Map(layers.map(layer => [layer, new Float32Array(probes.numTokens * size)]))
    for (let left = probes.all; left.length > 0;) {
      const pass = probes.next(left, this.#kv)
      try {
        if (pass.copies.length > 0) await decoder.copyBlocks(pass.copies)
        const packed = packPass(pass.parts, pass.run, layers, decoder.maxBlocksPerSequence)
        const output = await this.#forward(() => decoder.run(packed.pass))
        for (const [index, { first, tokens }] of pass.branches.entries()) {
          const from = packed.places[index]!.state * size
          for (const [layer, states] of output.hidden) {
            hidden.get(layer)!.set(states.subarray(from, from + tokens.length * size), first * size)
          }
          this.counters.probedTokens += tokens.length
        }
      } catch (error) {
        throw await this.#failure(error)
      } finally {
        this.#kv.takeBack(pass.lent)
      }
      left = left.slice(pass.branches.length)
    }
    return hidden
  }

  /** What a failure means to those whose pass it was; a lost device is opened again. */
  async #failure (error: unknown): Promise<unknown> {
    if (!(error instanceof DeviceLostError)) return error
    this.#kv.reset()
    this.#decoder = null
    // Where it cannot be opened yet, the next step tries again.
    await this.#opened().catch(() => {})
    return new Error(`the device was lost while it ran this request; ${this.#decoder
      ? 'it has been opened again'
      : 'it cannot be opened again yet'}: ${error.message}`, { cause: error })
  }

  #count (run: number, { pass, numFillers }: Packed): void {
    if (run === decodeRun) {
      this.counters.decodeRows += pass.tokenIds.length
      this.counters.paddingRows += numFillers
    } else this.counters.prefillTokens += pass.tokenIds.length - numFillers
  }

  async dispose (): Promise<void> { await this.#decoder?.dispose() }
}

/** Layers that any of some sequences wants, ascending. */
function layersOf (parts: ReadonlyArray<{ readonly sequence: Pick<ExecutableSequence, 'layers'> }>): number[] {
  return [...new Set(parts.flatMap(({ sequence: { layers } }) => layers))].sort((a, b) => a - b)
}
