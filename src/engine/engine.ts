/**
 * Continuous batching over one model. All that is asked for in one turn of the event loop rides in the next step: slots are
 * filled, runs planned, run, committed, promises resolved. Knows token ids only; no text, no requests, no rewards.
 */
import type { DecoderConfig } from '../models/decoder-config.js'
import type { Session } from '../runtime/session.js'
import { RunFeeds, type RunInputs } from './batch.js'
import { EngineSequence, type SequenceHost } from './engine-sequence.js'
import { chunkRun, coveredLength } from './history.js'
import { KvCache, slotsPerSlab, type KvSnapshot } from './kv-cache.js'
import { planChunks, planDecode, type ChunkRun, type DecodeRun, type Run } from './plan.js'
import { PrefixCache } from './prefix-cache.js'
import { ReservationQueue, type Need, type Reservation } from './reservation.js'
import type { Sequence, SequenceOptions, SequenceSource } from './sequence.js'
import { SlotTable } from './slots.js'
import { OutputRow, StepOutputs } from './step-outputs.js'

export interface EngineOptions {
  /** Longest sequence, tokens. */
  readonly contextLength: number
  /** Sequences that hold KV at the same time. */
  readonly maxSequences: number
  /** Tokens of KV that requests may reserve together. */
  readonly maxKvTokens: number
  /** Tokens of KV kept for later prompts; 0 turns the prefix cache off. */
  readonly prefixCacheTokens: number
  /** Prompt tokens read in one step. */
  readonly prefillTokensPerStep: number
  /** Requests that may wait for a reservation. */
  readonly maxQueued: number
}

/** What an engine runs. */
export interface CausalModel { readonly config: DecoderConfig, readonly session: Pick<Session, 'run'> }

/** Counters since the engine was made. */
export interface EngineCounters {
  steps: number
  runs: number
  /** Rows run by decode batches, wanted or riding along. */
  decodeRows: number
  ridingRows: number
  chunkTokens: number
  /** Milliseconds spent in forward passes, and in steps altogether. */
  forwardMs: number
  stepMs: number
}

const nextTurn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })

/** A match must leave two positions of the prompt to run, for the last one's logits in a chunk. */
const leastLeft = 2

export class Engine implements SequenceSource, SequenceHost {
  readonly contextLength: number
  readonly hiddenSize: number
  readonly counters: EngineCounters = { steps: 0, runs: 0, decodeRows: 0, ridingRows: 0, chunkTokens: 0, forwardMs: 0, stepMs: 0 }
  readonly #model: CausalModel
  readonly #options: EngineOptions
  readonly #kv: KvCache
  readonly #slots: SlotTable
  readonly #prefixCache: PrefixCache
  readonly #outputs: StepOutputs
  readonly #feeds = new RunFeeds()
  readonly #reservations: ReservationQueue
  /** Every open sequence. */
  readonly #open = new Set<EngineSequence>()
  /** Sequences that wait for an output, oldest first. */
  readonly #waiting = new Set<EngineSequence>()
  readonly #owners: Array<EngineSequence | null>
  #loop: Promise<void> | null = null
  #closed = false

  constructor (model: CausalModel, options: EngineOptions) {
    this.#model = model
    this.#options = options
    this.contextLength = options.contextLength
    this.hiddenSize = model.config.hiddenSize
    const slots = Math.ceil(options.maxSequences / slotsPerSlab) * slotsPerSlab
    this.#kv = new KvCache(model.config, options.contextLength)
    this.#slots = new SlotTable(slots)
    this.#prefixCache = new PrefixCache(options.prefixCacheTokens)
    this.#owners = new Array<EngineSequence | null>(slots).fill(null)
    this.#outputs = new StepOutputs(model.config, slots + options.prefillTokensPerStep, Math.max(slotsPerSlab, options.prefillTokensPerStep + 1))
    this.#reservations = new ReservationQueue(options)
  }

  /**
   * Opens a sequence. Nothing runs before its first `output()`.
   * @param tokens the prompt, 1 to contextLength tokens
   */
  open (tokens: readonly number[], options: SequenceOptions = {}): Sequence {
    if (this.#closed) throw new Error('the engine has been closed')
    if (tokens.length === 0 || tokens.length > this.contextLength) throw new Error(`a prompt has 1 to ${this.contextLength} tokens; got ${tokens.length}`)
    options.signal?.throwIfAborted()
    const sequence = new EngineSequence(this, [...tokens], { ...options, poolFrom: options.poolFrom ?? tokens.length })
    this.#open.add(sequence)
    return sequence
  }

  /** Waits for room for a request's whole fan-out; see ReservationQueue. */
  reserve (need: Need, signal?: AbortSignal): Promise<Reservation> {
    return this.#reservations.reserve(need, signal)
  }

  /** The engine at this moment. */
  stats (): { sequences: number, waitingRequests: number, runningRequests: number, kvTokens: number, cachedKvTokens: number } {
    return {
      sequences: this.#open.size,
      waitingRequests: this.#reservations.waiting,
      runningRequests: this.#reservations.running,
      kvTokens: [...this.#open].reduce((sum, sequence) => sum + (sequence.slot < 0 ? 0 : sequence.computed), 0),
      cachedKvTokens: this.#prefixCache.tokens
    }
  }

  enqueue (sequence: EngineSequence): void {
    this.#waiting.add(sequence)
    this.#loop ??= this.#run()
  }

  forked (parent: EngineSequence, child: EngineSequence): void {
    this.#open.add(child)
    const source = parent.slot >= 0 ? parent.slot : parent.source
    if (source < 0) return
    child.source = source
    this.#slots.pin(source)
  }

  closed (sequence: EngineSequence): void {
    this.#open.delete(sequence)
    this.#waiting.delete(sequence)
    this.#dropSource(sequence)
    if (sequence.slot < 0) return
    const { tokens, runs, slot } = sequence
    this.#owners[slot] = null
    this.#slots.free(slot, { tokens, runs })
    if (!sequence.opened) return
    // Only positions run in chunks can stand in for a prompt's.
    const end = runs.findIndex(run => run !== chunkRun)
    const prompt = { tokens, runs: end < 0 ? runs : runs.slice(0, end) }
    this.#prefixCache.keep(prompt, sequence.salt, () => this.#kv.snapshot(slot, prompt.runs.length))
  }

  /** Ends every sequence and frees all memory, after the step in flight. */
  async close (): Promise<void> {
    this.#closed = true
    for (const sequence of [...this.#open]) sequence.close()
    await this.#loop
    this.#prefixCache.clear()
    this.#outputs.dispose()
    this.#feeds.dispose()
    this.#kv.dispose()
  }

  async #run (): Promise<void> {
    // One turn later, so that all that is asked for in this one is in the step.
    for (await nextTurn(); this.#waiting.size > 0; await nextTurn()) await this.#step()
    this.#loop = null
  }

  async #step (): Promise<void> {
    const started = performance.now()
    this.#outputs.begin()
    for (const sequence of [...this.#waiting]) if (sequence.slot < 0) this.#seat(sequence)
    for (const run of this.#plan()) {
      // A sequence may have been closed while an earlier run of the step was in flight.
      const live = this.#stillWanted(run)
      if (live) await this.#execute(live)
    }
    this.counters.steps++
    this.counters.stepMs += performance.now() - started
  }

  /** Gives a sequence a slot with all the KV that is there for it already. */
  #seat (sequence: EngineSequence): void {
    const known = sequence.source >= 0 ? { from: sequence.source, length: sequence.computed } : this.#findPrefix(sequence)
    const seat = this.#slots.take(sequence)
    if (!seat) {
      this.#waiting.delete(sequence)
      sequence.fail(new Error(`all ${this.#slots.count} slots are taken: more sequences are open than were reserved`))
      return
    }
    sequence.slot = seat.slot
    this.#owners[seat.slot] = sequence
    if (!known) return
    const there = Math.min(seat.length, known.length)
    if (typeof known.from === 'number') this.#kv.copy(known.from, seat.slot, there, known.length)
    else this.#kv.restore(known.from, seat.slot, there, known.length)
    if (sequence.source < 0) sequence.adopt(known.length)
    this.#dropSource(sequence)
  }

  #dropSource (sequence: EngineSequence): void {
    if (sequence.source < 0) return
    this.#slots.unpin(sequence.source)
    sequence.source = -1
  }

  /** The longest beginning of a prompt that is cached or held by an open sequence of the same salt: a snapshot, or a slot. */
  #findPrefix (sequence: EngineSequence): { from: number | KvSnapshot, length: number } | null {
    if (this.#options.prefixCacheTokens === 0) return null
    const limit = Math.min(sequence.tokens.length - leastLeft, sequence.poolFrom)
    const cached = this.#prefixCache.find(sequence.tokens, sequence.salt)
    let best: { from: number | KvSnapshot, length: number } | null = cached && { from: cached.kv, length: cached.length }
    for (const other of this.#open) {
      if (other.slot < 0 || other === sequence || other.salt !== sequence.salt) continue
      const length = coveredLength(other, sequence.tokens)
      if (length > (best?.length ?? 0)) best = { from: other.slot, length }
    }
    return best && limit > 0 ? { from: best.from, length: Math.min(best.length, limit) } : null
  }

  #plan (): Run[] {
    const seated = [...this.#waiting].filter(sequence => sequence.slot >= 0)
    const alone = seated.filter(sequence => sequence.runsAlone).map(sequence => sequence.slot).sort((a, b) => a - b)
    const chunks = seated.filter(sequence => !sequence.runsAlone).map(sequence => ({ slot: sequence.slot, count: sequence.pending }))
    return [...planDecode(alone, slot => this.#nextPosition(slot) < this.contextLength), ...planChunks(chunks, this.#options.prefillTokensPerStep)]
  }

  /** Where a slot's next position will be written: a row that rides along writes there, and nothing is lost. */
  #nextPosition (slot: number): number {
    const owner = this.#owners[slot]
    return owner ? owner.computed : this.#slots.leftLength(slot)!
  }

  #stillWanted (run: Run): Run | null {
    if (run.kind === 'chunk') return this.#owners[run.slot] ? run : null
    const rows = run.rows.filter(row => this.#owners[run.slot + row])
    return rows.length > 0 ? { ...run, rows } : null
  }

  async #execute (run: Run): Promise<void> {
    const owners = run.kind === 'decode' ? run.rows.map(row => this.#owners[run.slot + row]!) : [this.#owners[run.slot]!]
    const positions = run.kind === 'decode' ? 1 : run.count
    const batch = run.kind === 'decode' ? run.count : 1
    const inputs = run.kind === 'decode' ? this.#decodeInputs(run) : this.#chunkInputs(run, owners[0]!)
    const layers = new Set(owners.flatMap(owner => owner.layers))
    const outputs = this.#outputs.forRun(inputs.rows.length, batch, positions, layers)
    const views = this.#kv.views(run.slot, batch)
    const feeds = new Map([...this.#feeds.fill(inputs), ...views.past])
    const started = performance.now()
    try {
      await this.#model.session.run(feeds, new Map([...outputs.tensors, ...views.present]))
      this.counters.forwardMs += performance.now() - started
      this.#count(run, inputs.rows.length)
      for (const ledger of new Set(owners.map(owner => owner.options.ledger))) if (ledger) ledger.forwardPasses++
      for (const [index, owner] of owners.entries()) {
        const first = run.kind === 'decode' ? run.rows[index]! : 0
        if (!owner.isClosed) this.#commit(owner, positions, index, first, outputs)
      }
    } catch (error) {
      // A failing run fails its own rows and changes nothing else.
      for (const owner of owners) {
        this.#waiting.delete(owner)
        owner.fail(error)
      }
    } finally {
      outputs.dispose()
    }
  }

  #commit (owner: EngineSequence, positions: number, index: number, batchRow: number, outputs: ReturnType<StepOutputs['forRun']>): void {
    const width = positions * this.hiddenSize
    const hidden = new Map(owner.layers.map(layer =>
      [layer, (outputs.tensors.get(`hidden_${layer}`)!.data as Float32Array).subarray(batchRow * width, (batchRow + 1) * width)]))
    owner.advance(positions, hidden)
    if (owner.pending > 0) return
    this.#waiting.delete(owner)
    owner.resolve(this.#outputs.lend(new OutputRow(outputs.row(index, owner.inverseTemperature), owner.hiddenStates(positions, hidden), owner.pooledTokens)))
  }

  #decodeInputs ({ slot, count, rows }: DecodeRun): RunInputs {
    const wanted = new Set(rows)
    const owners = Array.from({ length: count }, (_, row) => wanted.has(row) ? this.#owners[slot + row]! : null)
    return {
      // A row that rides along may hold any token.
      ids: owners.map(owner => owner ? owner.tokens[owner.computed]! : 0),
      batch: count,
      lengths: owners.map((owner, row) => (owner ? owner.computed : this.#nextPosition(slot + row)) + 1),
      rows,
      inverseTemperatures: rows.map(row => owners[row]!.inverseTemperature)
    }
  }

  #chunkInputs ({ count }: ChunkRun, owner: EngineSequence): RunInputs {
    const first = owner.computed
    return { ids: owner.tokens.slice(first, first + count), batch: 1, lengths: [first + count], rows: [count - 1], inverseTemperatures: [owner.inverseTemperature] }
  }

  #count (run: Run, wanted: number): void {
    this.counters.runs++
    if (run.kind === 'chunk') {
      this.counters.chunkTokens += run.count
      return
    }
    this.counters.decodeRows += run.count
    this.counters.ridingRows += run.count - wanted
  }

  /** Throws if slots, owners and pins disagree. For tests, between steps. */
  checkIntegrity (): void {
    for (let slot = 0; slot < this.#slots.count; slot++) {
      const owner = this.#owners[slot]
      if ((owner === null) !== (this.#slots.leftLength(slot) !== null)) throw new Error(`slot ${slot} is ${owner ? 'owned and free' : 'neither owned nor free'}`)
      if (owner && (owner.slot !== slot || !this.#open.has(owner))) throw new Error(`slot ${slot} is owned by a sequence that is closed or elsewhere`)
      const forks = [...this.#open].filter(sequence => sequence.source === slot).length
      if (forks !== this.#slots.pins(slot)) throw new Error(`slot ${slot} has ${this.#slots.pins(slot)} pins for ${forks} forks`)
    }
  }
}
