/**
 * Runs what was planned: feeds decode rows, chunks or probes to the model and hands what comes out to their sequences.
 * A failing run fails its own sequences and changes nothing else. Knows no plan, and not who waits.
 */
import type { DecoderConfig } from '../../models/decoder-config.js'
import { probeShape, type RunShape } from '../../models/graph/run-shape.js'
import type { Session } from '../../runtime/session.js'
import { RunFeeds, type RunInputs } from './batch.js'
import type { EngineSequence } from '../engine-sequence.js'
import type { HiddenState } from './hidden-states.js'
import { mostRowsPerRun, runShape, type DecodePart, type Run } from '../scheduler/plan.js'
import { chunkInputs, decodeInputs, probeInputs, type Place } from './run-inputs.js'
import type { Seating } from '../kv/slots/seating.js'
import { OutputRow, StepOutputs, type RunOutputs } from './step-outputs.js'

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

/** What a runner needs of its engine. */
export interface RunnerHost {
  /** Whether the candidates of a request share its prompt's KV. */
  sharesPrompt (fanOut: number, promptTokens: number): boolean
  /** A sequence waits no longer. */
  settled (sequence: EngineSequence): void
}

/** Runs what one engine planned, one run after the other. */
export class Runner {
  readonly counters: EngineCounters = {
    steps: 0, runs: 0, decodeRows: 0, ridingRows: 0, chunkTokens: 0, probedTokens: 0, forwardMs: 0, stepMs: 0
  }

  readonly #model: CausalModel
  readonly #seating: Seating
  readonly #host: RunnerHost
  readonly #feeds: RunFeeds
  readonly #outputs: StepOutputs

  /**
   * @param contextLength longest sequence, tokens
   * @param largestChunk positions of one chunk, at most
   */
  constructor (model: CausalModel, seating: Seating, host: RunnerHost, contextLength: number, largestChunk: number) {
    this.#model = model
    this.#seating = seating
    this.#host = host
    this.#feeds = new RunFeeds(model.config, contextLength)
    this.#outputs = new StepOutputs(model.config, seating.count + largestChunk,
      Math.max(mostRowsPerRun, largestChunk + 1))
  }

  /** Outputs of the step before that are still lent are copied: their memory is written anew. */
  beginStep (): void { this.#outputs.begin() }

  /**
   * One run of decode rows or of chunks, and what follows for their sequences. An error of the run is told to its
   * sequences, not thrown.
   */
  async execute (run: Run): Promise<void> {
    const parts: ReadonlyArray<Pick<DecodePart, 'slot' | 'count' | 'shared'>> =
      run.kind === 'decode' ? run.parts : run.chunks.map(({ slot }) => ({ slot, count: 1, shared: null }))
    const owners = run.kind === 'decode'
      ? run.parts.flatMap(part => part.rows.map(row => this.#seating.owner(part.slot + row)!))
      : run.chunks.map(({ slot }) => this.#seating.owner(slot)!)
    const { inputs, places } =
      run.kind === 'decode' ? decodeInputs(run, this.#seating) : chunkInputs(owners, run.chunks)
    const batch = run.kind === 'chunk' && run.chunks.length === 1 ? 1 : inputs.ids.length
    const outputs = this.#outputs.forRun(inputs.rows.length, batch, inputs.ids.length / batch,
      new Set(owners.flatMap(owner => owner.layers)))
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
        this.#host.settled(owner)
        owner.fail(error)
      }
    } finally {
      for (const { shared } of parts) shared?.release()
      outputs.dispose()
    }
  }

  /** One run of what may come next in one sequence, written where the next tokens' KV will be. */
  async probe (sequence: EngineSequence): Promise<void> {
    const { probedLayers, layers, options: { ledger } } = sequence
    const probes = sequence.nextProbes
    const inputs = probeInputs(sequence, probes)
    const count = inputs.ids.length
    const { past, present } = this.#seating.views(sequence.slot, 1, 0, probedLayers)
    const hidden = this.#outputs.hiddenViews(1, count, new Set(layers))
    const started = performance.now()
    try {
      await this.#model.sessions.find(probeShape(probedLayers))!
        .run(new Map([...this.#feeds.fillProbes(inputs), ...past]), new Map([...hidden, ...present]))
      this.counters.forwardMs += performance.now() - started
      this.counters.runs++
      this.counters.probedTokens += count
      if (ledger) ledger.forwardPasses++
      if (!sequence.isClosed) {
        sequence.resolveProbes(probes,
          new Map([...layers].map(layer => [layer, hidden.get(`hidden_${layer}`)!.data as Float32Array])))
      }
    } catch (error) {
      sequence.fail(error)
    } finally {
      for (const view of hidden.values()) view.dispose()
    }
    if (!sequence.isProbed) this.#host.settled(sequence)
  }

  #tellPositions (
    { computed, inverseTemperature, options: { onPosition } }: EngineSequence, { positions, lastRow }: Place,
    outputs: RunOutputs
  ): void {
    const first = lastRow - positions + 1
    if (onPosition) {
      for (let row = 0; row < positions; row++) {
        onPosition(computed + row, new OutputRow(outputs.row(first + row, inverseTemperature), new Map(), 0))
      }
    }
  }

  #commit (owner: EngineSequence, { positions, first, lastRow }: Place, outputs: RunOutputs): void {
    const hidden = new Map(owner.layers.map(layer =>
      [layer, (outputs.tensors.get(`hidden_${layer}`)!.data as Float32Array)
        .subarray(first * this.#model.config.hiddenSize, (first + positions) * this.#model.config.hiddenSize)]))
    owner.advance(positions, hidden)
    const lend = (row: number, states: ReadonlyMap<number, HiddenState>): void => {
      owner.give(this.#outputs.lend(new OutputRow(outputs.row(row, owner.inverseTemperature), states,
        owner.pooledTokens)))
    }
    if (owner.wantsAll) for (let row = lastRow - positions + 1; row < lastRow; row++) lend(row, new Map())
    if (owner.wantsAll || owner.pending === 0) lend(lastRow, owner.hiddenStates(positions, hidden))
    if (owner.pending > 0) {
      // Piece by piece, so that no step waits until the whole of a long prompt is copied.
      if (owner.opened && !owner.shared) this.#seating.keepPrompt(owner)
      return
    }
    if (owner.opened && !owner.options.probed && !owner.shared && !owner.runsAlone &&
        this.#host.sharesPrompt(owner.fanOut, owner.computed)) this.#seating.share(owner)
    this.#host.settled(owner)
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

  dispose (): void {
    this.#outputs.dispose()
    this.#feeds.dispose()
  }
}
