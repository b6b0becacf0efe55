/**
 * Continuous batching over one model. All that is asked for in one turn of the event loop is in the next step: the
 * scheduler says which sequences run, the KV manager has room for them, the executor runs them, and their outputs are
 * handed over. Knows token ids only; no text, no requests, no rewards, no device.
 */
import type { DecoderCounters } from '../models/device/device-decoder.js'
import type { HiddenBasis } from '../models/hidden-basis.js'
import { ComputeLock } from './compute-lock.js'
import type { DeviceProfile } from './device-profile.js'
import { engineParts } from './engine-parts.js'
import { EngineSequence, type SequenceOwner } from './engine-sequence.js'
import type { CausalModel, CpuExecutorOptions } from './executor/cpu/cpu-executor.js'
import type { OpenedDevice } from './executor/device/device-executor.js'
import type { Executor, ExecutorCounters, PassOutput } from './executor/executor.js'
import type { KvManager } from './kv/kv-manager.js'
import type { SlotOptions } from './kv/slots/slot-manager.js'
import { Scheduler } from './scheduler/scheduler.js'
import type { DraftableSequence, SequenceOptions, SequenceSource } from './sequence.js'

export interface EngineOptions extends SlotOptions, CpuExecutorOptions {
  /** Shared with the other engines on the same processor or device. Default: there are none. */
  readonly computeLock?: ComputeLock
}

/** Counters since the engine was made. */
export interface EngineCounters extends ExecutorCounters {
  readonly steps: number
  /** Total time in steps, ms. */
  readonly stepMs: number
}

const nextTurn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })

export class Engine implements SequenceSource, SequenceOwner {
  readonly contextLength: number
  readonly hiddenSize: number
  readonly hiddenBasis: HiddenBasis | null
  readonly profile: DeviceProfile
  readonly #scheduler: Scheduler
  readonly #kv: KvManager<EngineSequence>
  readonly #executor: Executor<EngineSequence>
  readonly #computeLock: ComputeLock
  readonly #open = new Set<EngineSequence>()
  /** Sequences that wait for an output or for probes, oldest first. */
  readonly #waiting = new Set<EngineSequence>()
  #loop: Promise<void> | null = null
  #closed = false
  #steps = 0
  #stepMs = 0

  /**
   * @param model to be run by the processor, or a device that has it
   * @throws RequestError where there is no memory for the KV of sequences this long
   */
  constructor (model: CausalModel | OpenedDevice, options: EngineOptions) {
    const { profile, kv, executor } = engineParts(model, options)
    this.profile = profile
    this.#kv = kv
    this.#executor = executor
    this.#scheduler = new Scheduler(profile.scheduling, options.prefillTokensPerStep)
    this.#computeLock = options.computeLock ?? new ComputeLock()
    this.contextLength = options.contextLength
    this.hiddenSize = this.#executor.hiddenSize
    this.hiddenBasis = this.#executor.hiddenBasis
  }

  /**
   * Opens a sequence. Nothing runs before its first `output()`.
   * @param tokens the prompt, 1 to contextLength tokens
   */
  open (tokens: readonly number[], options: SequenceOptions = {}): DraftableSequence {
    if (this.#closed) throw new Error('the engine has been closed')
    if (tokens.length === 0 || tokens.length > this.contextLength) {
      throw new Error(`a prompt has 1 to ${this.contextLength} tokens; got ${tokens.length}`)
    }
    options.signal?.throwIfAborted()
    const sequence = new EngineSequence(this, [...tokens], { ...options, poolFrom: options.poolFrom ?? tokens.length })
    this.#open.add(sequence)
    this.#kv.open(sequence)
    return sequence
  }

  /**
   * Whether the candidates of a request share its prompt's KV: a function of the request and the model alone, never of
   * the load, since it changes bits.
   */
  sharesPrompt (fanOut: number, promptTokens: number): boolean {
    const { minFanOut, minPromptTokens, minProduct } = this.profile.promptSharing
    return this.#executor.canSharePrompts && fanOut >= minFanOut && promptTokens >= minPromptTokens &&
      fanOut * promptTokens >= minProduct
  }

  /** Whether a prompt's KV takes its room once for all candidates, however many there are. */
  get sharesForks (): boolean { return this.#kv.sharesForks }

  /** Tokens of KV that there is room for, together. */
  get maxKvTokens (): number { return this.#kv.maxTokens }

  /** The counters at this moment. */
  get counters (): EngineCounters {
    return { ...this.#executor.counters, steps: this.#steps, stepMs: this.#stepMs }
  }

  /** What went to the device and came from it; null on the processor. */
  get deviceCounters (): Readonly<DecoderCounters> | null { return this.#executor.deviceCounters }

  /** Whether no sequence waits for an output. */
  get isIdle (): boolean { return this.#waiting.size === 0 }

  /** The engine at this moment. */
  stats (): { sequences: number, kvTokens: number, kvBytesPerToken: number, prefixCacheBytes: number } {
    return {
      sequences: this.#open.size,
      kvTokens: this.#kv.usedTokens,
      kvBytesPerToken: this.#kv.bytesPerToken,
      prefixCacheBytes: this.#kv.cachedBytes
    }
  }

  enqueue (sequence: EngineSequence): void {
    this.#waiting.add(sequence)
    this.#loop ??= this.#run()
  }

  forked (parent: EngineSequence, child: EngineSequence): void {
    this.#open.add(child)
    this.#kv.fork(parent, child)
  }

  closed (sequence: EngineSequence): void {
    this.#waiting.delete(sequence)
    this.#open.delete(sequence)
    this.#kv.free(sequence)
  }

  prepareProbes (layers: readonly number[]): Promise<void> { return this.#executor.prepareProbes(layers) }

  /** Ends every sequence and frees all memory, after the step in flight. */
  async close (): Promise<void> {
    this.#closed = true
    for (const sequence of [...this.#open]) sequence.close()
    await this.#loop
    await this.#executor.dispose()
    this.#kv.dispose()
  }

  async #run (): Promise<void> {
    // One turn later, so that all that is asked for in this one is in the step.
    for (await nextTurn(); this.#waiting.size > 0; await nextTurn()) {
      // An error outside of a pass fails every waiting sequence. The next step starts afresh.
      await this.#computeLock.inTurn(() => this.#step())
        .catch((error: unknown) => { this.#fail([...this.#waiting], error) })
    }
    this.#loop = null
  }

  async #step (): Promise<void> {
    const started = performance.now()
    const batch = this.#scheduler.schedule(this.#waiting, this.#kv, this.#computeLock.isWanted)
    for await (const pass of this.#executor.execute(batch)) this.#commit(pass)
    let passes = 0
    for (const sequence of batch.probed) {
      while (sequence.isProbed && passes++ < batch.maxProbePasses) await this.#probe(sequence)
    }
    this.#steps++
    this.#stepMs += performance.now() - started
  }

  /** What follows a pass for its sequences. One that fails fails its own sequences and changes nothing else. */
  #commit ({ sequences, outputs, error }: PassOutput<EngineSequence>): void {
    if (!outputs) {
      this.#fail(sequences, error)
      return
    }
    // What is run again for want of room is nobody's.
    const asked = sequences.filter(({ isRestored }) => !isRestored)
    for (const ledger of new Set(asked.map(({ options }) => options.ledger))) if (ledger) ledger.forwardPasses++
    try {
      for (const [index, sequence] of sequences.entries()) {
        if (sequence.isClosed) continue
        if (sequence.commit(outputs[index]!)) this.#finish(sequence)
        // Piece by piece, so that no step waits until the whole of a long prompt is copied.
        else this.#kv.cachePrompt(sequence)
      }
    } catch (error) {
      this.#fail(sequences, error)
    }
  }

  /** Hands over what a sequence waited for. */
  #finish (sequence: EngineSequence): void {
    const { opened, sharesPrompt, isDecode, fanOut, numComputedTokens, options: { probed } } = sequence
    if (opened && !probed && !sharesPrompt && !isDecode && this.sharesPrompt(fanOut, numComputedTokens)) {
      this.#kv.sharePrompt(sequence)
      sequence.sharesPrompt = true
    }
    this.#waiting.delete(sequence)
    sequence.resolve()
  }

  #fail (sequences: readonly EngineSequence[], error: unknown): void {
    for (const sequence of sequences) {
      this.#waiting.delete(sequence)
      sequence.fail(error)
    }
  }

  /** One pass of what may come next in one sequence. */
  async #probe (sequence: EngineSequence): Promise<void> {
    const probes = sequence.nextProbes
    const { ledger } = sequence.options
    try {
      const hidden = await this.#executor.probe(sequence, probes.map(({ tokens }) => tokens))
      if (ledger) ledger.forwardPasses++
      if (!sequence.isClosed) sequence.resolveProbes(probes, hidden)
    } catch (error) {
      sequence.fail(error)
    }
    if (!sequence.isProbed) this.#waiting.delete(sequence)
  }

  /** Throws if the KV manager's books disagree. For tests, between steps. */
  checkIntegrity (): void { this.#kv.checkIntegrity() }
}
