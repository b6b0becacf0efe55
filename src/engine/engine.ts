/**
 * Continuous batching over one model. All that is asked for in one turn of the event loop rides in the next step:
 * sequences are seated, runs planned, run, committed, promises resolved. Knows token ids only; no text, no requests, no
 * rewards.
 */
import { describeShape, probeShape } from '../models/graph/run-shape.js'
import { Cores } from './compute-lock.js'
import { EngineSequence, type SequenceHost } from './engine-sequence.js'
import { gatherParts } from './scheduler/gather.js'
import { kvBytesPerToken } from './kv/slots/kv-cache.js'
import { nextChunks, nextRun, planChunks, type Chunk, type DecodePart } from './scheduler/plan.js'
import { Runner, type CausalModel, type EngineCounters, type RunnerHost } from './executor/runner.js'
import { Seating, type SeatingOptions } from './kv/slots/seating.js'
import type { DraftableSequence, SequenceOptions, SequenceSource } from './sequence.js'
import { chunkBudget, takeTurns } from './scheduler/turns.js'

export interface EngineOptions extends SeatingOptions {
  /** Prompt tokens read in one step. */
  readonly prefillTokensPerStep: number
  /** Run short chunks of several sequences together: for an engine that reads many. Default no. */
  readonly joinsChunks?: boolean
  /** Turns with other engines of the process. Default: there are none. */
  readonly cores?: Cores
}

/**
 * Sharing a prompt pays from here on: measured for one family of 32 and for several of 8, 16 and 32 beside each other,
 * on prompts of 64 to 512 tokens. Where each has 8 rows, one batch of private KV is as fast up to 512 tokens.
 */
const leastShared = { fanOut: 8, promptTokens: 32, product: 4096 } as const

const nextTurn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })

export class Engine implements SequenceSource, SequenceHost, RunnerHost {
  readonly contextLength: number
  readonly hiddenSize: number
  readonly #model: CausalModel
  readonly #options: EngineOptions
  readonly #seating: Seating
  readonly #runner: Runner
  readonly #cores: Cores
  /** Sequences that wait for an output, oldest first. */
  readonly #waiting = new Set<EngineSequence>()
  #loop: Promise<void> | null = null
  #closed = false

  /** @throws RequestError where there is no memory for the KV of sequences this long */
  constructor (model: CausalModel, options: EngineOptions) {
    this.#model = model
    this.#options = options
    this.#cores = options.cores ?? new Cores()
    this.contextLength = options.contextLength
    this.hiddenSize = model.config.hiddenSize
    this.#seating = new Seating(model.config, options)
    this.#runner = new Runner(model, this.#seating, this, options.contextLength, options.prefillTokensPerStep)
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
    this.#seating.add(sequence)
    return sequence
  }

  /**
   * Whether the candidates of a request share its prompt's KV: a function of the request and the model alone, never of
   * the load, since it changes bits.
   */
  sharesPrompt (fanOut: number, promptTokens: number): boolean {
    return this.#model.canSharePrefix && fanOut >= leastShared.fanOut && promptTokens >= leastShared.promptTokens &&
      fanOut * promptTokens >= leastShared.product
  }

  get counters (): EngineCounters { return this.#runner.counters }

  /** Whether no sequence waits for an output. */
  get isIdle (): boolean { return this.#waiting.size === 0 }

  /** The engine at this moment. */
  stats (): { sequences: number, kvTokens: number, kvBytesPerToken: number, prefixCacheBytes: number } {
    return {
      sequences: this.#seating.open.size,
      kvTokens: this.#seating.kvTokens,
      kvBytesPerToken: kvBytesPerToken(this.#model.config),
      prefixCacheBytes: this.#seating.cachedBytes
    }
  }

  enqueue (sequence: EngineSequence): void {
    this.#waiting.add(sequence)
    this.#loop ??= this.#run()
  }

  forked (parent: EngineSequence, child: EngineSequence): void { this.#seating.addFork(parent, child) }

  settled (sequence: EngineSequence): void { this.#waiting.delete(sequence) }

  closed (sequence: EngineSequence): void {
    this.settled(sequence)
    this.#seating.leave(sequence)
  }

  async readyToProbe (layer: number): Promise<void> {
    const shape = probeShape(layer)
    await this.#model.sessions.prepare(shape)
    if (!this.#model.sessions.find(shape)) throw new Error(`the model cannot be run for a ${describeShape(shape)}`)
  }

  /** Ends every sequence and frees all memory, after the step in flight. */
  async close (): Promise<void> {
    this.#closed = true
    for (const sequence of [...this.#seating.open]) sequence.close()
    await this.#loop
    this.#runner.dispose()
    this.#seating.dispose()
  }

  async #run (): Promise<void> {
    // One turn later, so that all that is asked for in this one is in the step.
    for (await nextTurn(); this.#waiting.size > 0; await nextTurn()) {
      await this.#cores.inTurn(() => this.#step()).catch((error: unknown) => { this.#failAll(error) })
    }
    this.#loop = null
  }

  /**
   * What fails outside of a run, such as memory that is refused, fails all that wait: nobody else could be told. The
   * next step begins anew.
   */
  #failAll (error: unknown): void {
    for (const sequence of [...this.#waiting]) {
      this.settled(sequence)
      sequence.fail(error)
    }
  }

  async #step (): Promise<void> {
    const started = performance.now()
    const { counters } = this.#runner
    this.#runner.beginStep()
    this.#seat()
    // A sequence may be closed while a run of the step is in flight: each run looks at what is still wanted.
    const { decode, chunks, probed, mostProbeRuns } = this.#plan()
    for (let parts = this.#stillWanted(decode); parts.length > 0;) {
      const run = nextRun(parts, shape => this.#model.sessions.find(shape) !== null)
      await this.#runner.execute(run)
      parts = this.#stillWanted(parts.filter(part => !run.parts.includes(part)))
    }
    for (let left = this.#stillOwned(chunks); left.length > 0;) {
      const run =
        nextChunks(left, shape => this.#options.joinsChunks === true && this.#model.sessions.find(shape) !== null)
      await this.#runner.execute(run)
      left = this.#stillOwned(left.filter(chunk => !run.chunks.includes(chunk)))
    }
    let probeRuns = 0
    for (const sequence of probed) {
      while (sequence.isProbed && probeRuns++ < mostProbeRuns) await this.#runner.probe(sequence)
    }
    counters.steps++
    counters.stepMs += performance.now() - started
  }

  /**
   * Seats who waits, as far as there are slots: idle sequences yield theirs, and searches to streams. The others wait
   * on.
   */
  #seat (): void {
    for (const sequence of this.#waiting) {
      if (sequence.slot >= 0 || this.#seating.seat(sequence, seated => !this.#waiting.has(seated))) continue
      if (sequence.isStream) this.#seating.seat(sequence, seated => !seated.isStream)
    }
  }

  #plan (): { decode: DecodePart[], chunks: Chunk[], probed: EngineSequence[], mostProbeRuns: number } {
    const seated = [...this.#waiting].filter(sequence => sequence.slot >= 0)
    const probed = seated.filter(sequence => sequence.isProbed)
    const asked = seated.filter(sequence => !sequence.isProbed)
    const { rows, beside } = takeTurns(asked.filter(sequence => sequence.runsAlone),
      probed.some(sequence => sequence.isStream))
    const chunks = asked.filter(sequence => !sequence.runsAlone)
      .map(sequence => ({ slot: sequence.slot, count: sequence.pending }))
    const usual = this.#options.prefillTokensPerStep
    return {
      decode: gatherParts(rows, this.#seating, this.contextLength),
      chunks: planChunks(chunks,
        beside || this.#cores.isWanted ? chunkBudget(rows.length, chunks.length, usual) : usual),
      probed,
      mostProbeRuns: this.#cores.isWanted || rows.some(row => row.isStream) ? 1 : Infinity
    }
  }

  #stillWanted (parts: readonly DecodePart[]): DecodePart[] {
    return parts.map(part => ({ ...part, rows: part.rows.filter(row => this.#seating.owner(part.slot + row)) }))
      .filter(part => part.rows.length > 0)
  }

  #stillOwned (chunks: readonly Chunk[]): Chunk[] { return chunks.filter(({ slot }) => this.#seating.owner(slot)) }

  /** Throws if the books of slots disagree. For tests, between steps. */
  checkIntegrity (): void { this.#seating.checkIntegrity() }
}
