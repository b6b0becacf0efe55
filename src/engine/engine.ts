/**
 * Continuous batching over one model. All that is asked for in one turn of the event loop rides in the next step: sequences are
 * seated, runs planned, run, committed, promises resolved. Knows token ids only; no text, no requests, no rewards.
 */
import type { DecoderConfig } from '../models/decoder-config.js'
import type { Session } from '../runtime/session.js'
import { RunFeeds, type RunInputs } from './batch.js'
import { Cores } from './cores.js'
import { EngineSequence, type SequenceHost } from './engine-sequence.js'
import { gatherParts } from './gather.js'
import type { HiddenState } from './hidden-states.js'
import { kvBytesPerToken } from './kv-cache.js'
import { mostRowsPerRun, nextChunks, nextRun, planChunks, runShape, type Chunk, type DecodePart, type Run } from './plan.js'
import { ReservationQueue, type Need, type Reservation } from './reservation.js'
import { describeShape, probeShape, type RunShape } from '../models/run-shape.js'
import { chunkInputs, decodeInputs, probeInputs, type Place } from './run-inputs.js'
import { Seating, type SeatingOptions } from './seating.js'
import type { DraftableSequence, SequenceOptions, SequenceSource } from './sequence.js'
import { OutputRow, StepOutputs, type RunOutputs } from './step-outputs.js'
import { chunkBudget, takeTurns } from './turns.js'

export interface EngineOptions extends SeatingOptions {
  /** Prompt tokens read in one step. */
  readonly prefillTokensPerStep: number
  /** Requests that may wait for a reservation. */
  readonly maxQueued: number
  /** Run short chunks of several sequences together: for an engine that reads many. Default no. */
  readonly joinsChunks?: boolean
  /** Turns with other engines of the process. Default: there are none. */
  readonly cores?: Cores
  /** The setting that bounds the KV that may be reserved, for errors. Default kv-cache-bytes. */
  readonly kvSetting?: string
}

/** What an engine runs. */
export interface CausalModel {
  readonly config: DecoderConfig
  /** Whether rows can share their prompt's KV, with bits that do not depend on each other. */
  readonly canSharePrefix: boolean
  /** The simple shapes are always there; for others it may give null. */
  readonly sessions: {
    find (shape: RunShape): Pick<Session, 'run'> | null
    /** Waits until a shape is there, if it can be. */
    prepare (shape: RunShape): Promise<void>
  }
}

/** Counters since the engine was made. */
export interface EngineCounters {
  steps: number
  runs: number
  /** Rows run by decode batches, wanted or riding along. */
  decodeRows: number
  ridingRows: number
  chunkTokens: number
  probedTokens: number
  /** Milliseconds spent in forward passes, and in steps altogether. */
  forwardMs: number
  stepMs: number
}

/**
 * Sharing a prompt pays from here on: measured for one family of 32 and for several of 8, 16 and 32 beside each other, on prompts of 64 to 512 tokens.
 * Where each has 8 rows, one batch of private KV is as fast up to 512 tokens.
 */
const leastShared = { fanOut: 8, promptTokens: 32, product: 4096 } as const

const nextTurn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })

export class Engine implements SequenceSource, SequenceHost {
  readonly contextLength: number
  readonly hiddenSize: number
  /** Tokens of KV that requests may reserve together. */
  readonly mostKvTokens: number
  readonly counters: EngineCounters = { steps: 0, runs: 0, decodeRows: 0, ridingRows: 0, chunkTokens: 0, probedTokens: 0, forwardMs: 0, stepMs: 0 }
  readonly #model: CausalModel
  readonly #options: EngineOptions
  readonly #seating: Seating
  readonly #outputs: StepOutputs
  readonly #feeds: RunFeeds
  readonly #reservations: ReservationQueue
  readonly #cores: Cores
  /** Sequences that wait for an output, oldest first. */
  readonly #waiting = new Set<EngineSequence>()
  #loop: Promise<void> | null = null
  #closed = false

  constructor (model: CausalModel, options: EngineOptions) {
    this.#model = model
    this.#options = options
    this.#cores = options.cores ?? new Cores()
    this.contextLength = options.contextLength
    this.hiddenSize = model.config.hiddenSize
    this.#seating = new Seating(model.config, options)
    this.#feeds = new RunFeeds(model.config, options.contextLength)
    this.#outputs = new StepOutputs(model.config, this.#seating.count + options.prefillTokensPerStep, Math.max(mostRowsPerRun, options.prefillTokensPerStep + 1))
    this.mostKvTokens = Math.floor(options.kvCacheBytes / kvBytesPerToken(model.config))
    this.#reservations = new ReservationQueue({ contextLength: options.contextLength, maxQueued: options.maxQueued, maxTokens: this.mostKvTokens, bytesPerToken: kvBytesPerToken(model.config), setting: options.kvSetting ?? 'kv-cache-bytes' })
  }

  /**
   * Opens a sequence. Nothing runs before its first `output()`.
   * @param tokens the prompt, 1 to contextLength tokens
   */
  open (tokens: readonly number[], options: SequenceOptions = {}): DraftableSequence {
    if (this.#closed) throw new Error('the engine has been closed')
    if (tokens.length === 0 || tokens.length > this.contextLength) throw new Error(`a prompt has 1 to ${this.contextLength} tokens; got ${tokens.length}`)
    options.signal?.throwIfAborted()
    const sequence = new EngineSequence(this, [...tokens], { ...options, poolFrom: options.poolFrom ?? tokens.length })
    this.#seating.add(sequence)
    return sequence
  }

  /**
   * Whether the candidates of a request share its prompt's KV: a function of the request and the model alone, never of the load, since it changes
   * bits.
   */
  sharesPrompt (fanOut: number, promptTokens: number): boolean {
    return this.#model.canSharePrefix && fanOut >= leastShared.fanOut && promptTokens >= leastShared.promptTokens && fanOut * promptTokens >= leastShared.product
  }

  /** Whether no sequence waits for an output. */
  get isIdle (): boolean { return this.#waiting.size === 0 }

  /** What a request's sequences can grow by, tokens each, if it is alone: at least 0. */
  roomPerSequence (sequences: number, promptTokens: number, sharesPrompt: boolean): number {
    return this.#reservations.roomPerSequence(sequences, promptTokens, sharesPrompt)
  }

  /** Asks for room for a request's whole fan-out; see ReservationQueue. */
  reserve (need: Need, signal?: AbortSignal): Promise<Reservation> {
    return this.#reservations.reserve(need, signal)
  }

  /** The engine at this moment. */
  stats (): { sequences: number, waitingRequests: number, runningRequests: number, kvTokens: number, kvBytesPerToken: number, prefixCacheBytes: number } {
    return {
      sequences: this.#seating.open.size,
      waitingRequests: this.#reservations.waiting,
      runningRequests: this.#reservations.running,
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

  closed (sequence: EngineSequence): void {
    this.#waiting.delete(sequence)
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
    this.#outputs.dispose()
    this.#feeds.dispose()
    this.#seating.dispose()
  }

  async #run (): Promise<void> {
    // One turn later, so that all that is asked for in this one is in the step.
    for (await nextTurn(); this.#waiting.size > 0; await nextTurn()) await this.#cores.inTurn(() => this.#step())
    this.#loop = null
  }

  async #step (): Promise<void> {
    const started = performance.now()
    this.#outputs.begin()
    this.#seat()
    // A sequence may be closed while a run of the step is in flight: each run looks at what is still wanted.
    const { decode, chunks, probed, mostProbeRuns } = this.#plan()
    for (let parts = this.#stillWanted(decode); parts.length > 0;) {
      const run = nextRun(parts, shape => this.#model.sessions.find(shape) !== null)
      await this.#execute(run)
      parts = this.#stillWanted(parts.filter(part => !run.parts.includes(part)))
    }
    for (let left = this.#stillOwned(chunks); left.length > 0;) {
      const run = nextChunks(left, shape => this.#options.joinsChunks === true && this.#model.sessions.find(shape) !== null)
      await this.#execute(run)
      left = this.#stillOwned(left.filter(chunk => !run.chunks.includes(chunk)))
    }
    let probeRuns = 0
    for (const sequence of probed) while (sequence.isProbed && probeRuns++ < mostProbeRuns) await this.#probe(sequence)
    this.counters.steps++
    this.counters.stepMs += performance.now() - started
  }

  /** Seats who waits, as far as there are slots: idle sequences yield theirs, and searches to streams. The others wait on. */
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
    const { rows, beside } = takeTurns(asked.filter(sequence => sequence.runsAlone), probed.some(sequence => sequence.isStream))
    const chunks = asked.filter(sequence => !sequence.runsAlone).map(sequence => ({ slot: sequence.slot, count: sequence.pending }))
    const usual = this.#options.prefillTokensPerStep
    return {
      decode: gatherParts(rows, this.#seating, this.contextLength),
      chunks: planChunks(chunks, beside || this.#cores.isWanted ? chunkBudget(rows.length, chunks.length, usual) : usual),
      probed,
      mostProbeRuns: this.#cores.isWanted || rows.some(row => row.isStream) ? 1 : Infinity
    }
  }

  #stillWanted (parts: readonly DecodePart[]): DecodePart[] {
    return parts.map(part => ({ ...part, rows: part.rows.filter(row => this.#seating.owner(part.slot + row)) })).filter(part => part.rows.length > 0)
  }

  #stillOwned (chunks: readonly Chunk[]): Chunk[] { return chunks.filter(({ slot }) => this.#seating.owner(slot)) }

  async #execute (run: Run): Promise<void> {
    const parts: ReadonlyArray<Pick<DecodePart, 'slot' | 'count' | 'shared'>> = run.kind === 'decode' ? run.parts : run.chunks.map(({ slot }) => ({ slot, count: 1, shared: null }))
    const owners = run.kind === 'decode' ? run.parts.flatMap(part => part.rows.map(row => this.#seating.owner(part.slot + row)!)) : run.chunks.map(({ slot }) => this.#seating.owner(slot)!)
    const { inputs, places } = run.kind === 'decode' ? decodeInputs(run, this.#seating) : chunkInputs(owners, run.chunks)
    const batch = run.kind === 'chunk' && run.chunks.length === 1 ? 1 : inputs.ids.length
    const outputs = this.#outputs.forRun(inputs.rows.length, batch, inputs.ids.length / batch, new Set(owners.flatMap(owner => owner.layers)))
    const views = parts.map(({ slot, count }, part) => this.#seating.views(slot, count, part))
    const feeds = new Map([...this.#feeds.fill(inputs), ...views.flatMap(({ past }) => [...past])])
    const fetches = new Map([...outputs.tensors, ...views.flatMap(({ present }) => [...present])])
    // Its sequences may be closed while it runs; what it reads stays.
    for (const { shared } of parts) shared?.hold()
    const started = performance.now()
    try {
      await this.#model.sessions.find(runShape(run))!.run(feeds, fetches)
      this.counters.forwardMs += performance.now() - started
      this.#count(run, inputs)
      for (const ledger of new Set(owners.map(owner => owner.options.ledger))) if (ledger) ledger.forwardPasses++
      for (const [index, owner] of owners.entries()) {
        if (owner.isClosed) continue
        const place = places[index]!
        if (run.kind === 'chunk') this.#tellPositions(owner, place, outputs)
        this.#commit(owner, place, outputs)
      }
    } catch (error) {
      // A failing run fails its own rows and changes nothing else.
      for (const owner of owners) {
        this.#waiting.delete(owner)
        owner.fail(error)
      }
    } finally {
      for (const { shared } of parts) shared?.release()
      outputs.dispose()
    }
  }

  /** One run of what may come next in one sequence, written where the next tokens' KV will be. */
  async #probe (sequence: EngineSequence): Promise<void> {
    const { probedLayers, layers, options: { ledger } } = sequence
    const probes = sequence.nextProbes
    const inputs = probeInputs(sequence, probes)
    const count = inputs.ids.length
    const { past, present } = this.#seating.views(sequence.slot, 1, 0, probedLayers)
    const hidden = this.#outputs.hiddenViews(1, count, new Set(layers))
    const started = performance.now()
    try {
      await this.#model.sessions.find(probeShape(probedLayers))!.run(new Map([...this.#feeds.fillProbes(inputs), ...past]), new Map([...hidden, ...present]))
      this.counters.forwardMs += performance.now() - started
      this.counters.runs++
      this.counters.probedTokens += count
      if (ledger) ledger.forwardPasses++
      if (!sequence.isClosed) sequence.resolveProbes(probes, new Map([...layers].map(layer => [layer, hidden.get(`hidden_${layer}`)!.data as Float32Array])))
    } catch (error) {
      sequence.fail(error)
    } finally {
      for (const view of hidden.values()) view.dispose()
    }
    if (!sequence.isProbed) this.#waiting.delete(sequence)
  }

  #tellPositions ({ computed, inverseTemperature, options: { onPosition } }: EngineSequence, { positions, lastRow }: Place, outputs: RunOutputs): void {
    const first = lastRow - positions + 1
    if (onPosition) for (let row = 0; row < positions; row++) onPosition(computed + row, new OutputRow(outputs.row(first + row, inverseTemperature), new Map(), 0))
  }

  #commit (owner: EngineSequence, { positions, first, lastRow }: Place, outputs: RunOutputs): void {
    const hidden = new Map(owner.layers.map(layer =>
      [layer, (outputs.tensors.get(`hidden_${layer}`)!.data as Float32Array).subarray(first * this.hiddenSize, (first + positions) * this.hiddenSize)]))
    owner.advance(positions, hidden)
    const lend = (row: number, states: ReadonlyMap<number, HiddenState>): void => { owner.give(this.#outputs.lend(new OutputRow(outputs.row(row, owner.inverseTemperature), states, owner.pooledTokens))) }
    if (owner.wantsAll) for (let row = lastRow - positions + 1; row < lastRow; row++) lend(row, new Map())
    if (owner.wantsAll || owner.pending === 0) lend(lastRow, owner.hiddenStates(positions, hidden))
    if (owner.pending > 0) {
      // Piece by piece, so that no step waits until the whole of a long prompt is copied.
      if (owner.opened && !owner.shared) this.#seating.keepPrompt(owner)
      return
    }
    if (owner.opened && !owner.options.probed && !owner.shared && !owner.runsAlone && this.sharesPrompt(owner.fanOut, owner.computed)) this.#seating.share(owner)
    this.#waiting.delete(owner)
    owner.resolve()
  }

  #count (run: Run, { ids, rows }: RunInputs): void {
    this.counters.runs++
    if (run.kind === 'chunk') {
      this.counters.chunkTokens += ids.length
      return
    }
    this.counters.decodeRows += ids.length
    this.counters.ridingRows += ids.length - rows.length
  }

  /** Throws if the books of slots disagree. For tests, between steps. */
  checkIntegrity (): void { this.#seating.checkIntegrity() }
}
