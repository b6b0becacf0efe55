/**
 * One open sequence: its tokens, what of them has KV and where, and the output that its owner waits for. Knows no other
 * sequence; the engine plans and runs.
 */
import { chunkRun, decodeRun, type History } from './kv/history.js'
import { slabOf, type SharedPrompt } from './kv/slots/kv-cache.js'
import { HiddenSums, LayerStates, type HiddenState } from './executor/hidden-states.js'
import { mostProbed } from './scheduler/plan.js'
import type { DraftableSequence, Output, Sequence, SequenceOptions, States } from './sequence.js'
import type { OutputRow } from './executor/step-outputs.js'
import { isStream } from './scheduler/turns.js'

/** What a sequence needs of its engine. */
export interface SequenceHost {
  /** The sequence waits for an output. */
  enqueue (sequence: EngineSequence): void
  forked (parent: EngineSequence, child: EngineSequence): void
  closed (sequence: EngineSequence): void
  /** Waits until sequences can be probed up to a layer. */
  readyToProbe (layer: number): Promise<void>
  readonly contextLength: number
  /** Width D of a hidden state. */
  readonly hiddenSize: number
}

/** Tokens that may come next, and who waits for the states after them. */
export interface Probe {
  readonly tokens: readonly number[]
  readonly resolve: (states: States) => void
  readonly reject: (reason: Error) => void
}

interface Waiter { readonly resolve: (outputs: readonly Output[]) => void, readonly reject: (reason: Error) => void }

export class EngineSequence implements DraftableSequence, History {
  readonly tokens: number[]
  /** How each position that has KV was run. */
  readonly runs: number[]
  readonly options: SequenceOptions
  readonly #host: SequenceHost
  readonly #layers: readonly number[]
  /** Of hidden states over the pooled positions. */
  readonly #sums: HiddenSums
  readonly #onAbort: () => void
  /** Slot that holds its KV; −1 before its first run. */
  slot = -1
  /** Slot of the sequence it was forked from, until its own is filled; −1 for none. */
  source = -1
  /** Its KV, packed, while it has no slot but had one; null otherwise. */
  aside: Float32Array | null = null
  /** Whether it was opened with a prompt rather than forked. */
  readonly opened: boolean
  #shared: SharedPrompt | null
  /** Outputs after the last tokens, the last one's last: one, or as many as were asked for. */
  #outputs: readonly OutputRow[] = []
  #waiter: Waiter | null = null
  #promise: Promise<readonly Output[]> | null = null
  /** Waiting, oldest first. */
  #probes: readonly Probe[] = []
  #closed = false
  #wasForked = false
  /** Whether the outputs in waiting are those after every position. */
  #wantsAll = false
  /** Whether the output in waiting needs one position, run alone as a decode row, rather than chunks. */
  #alone = false

  constructor (host: SequenceHost, tokens: number[], options: SequenceOptions, parent?: EngineSequence) {
    this.#host = host
    this.tokens = tokens
    this.options = options
    this.opened = parent === undefined
    this.#shared = parent?.shared?.hold() ?? null
    this.runs = parent ? parent.runs.slice() : []
    this.#layers = options.layers ?? []
    this.#sums = parent ? parent.#sums.fork() : HiddenSums.of(this.#layers, host.hiddenSize)
    this.#outputs = parent ? parent.#outputs.slice(-1) : []
    for (const output of this.#outputs) output.holders++
    this.#onAbort = () => { this.close() }
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get isClosed (): boolean { return this.#closed }
  /** The prompt that it shares with the other candidates of its request; null where it holds all its KV itself. */
  get shared (): SharedPrompt | null { return this.#shared }
  /** What its slot holds, or will hold: all that has KV but a shared prompt. */
  get held (): History {
    const from = this.#shared?.length ?? 0
    return { prefix: this.#shared, tokens: this.tokens.slice(from), runs: this.runs.slice(from) }
  }

  get heldLength (): number { return this.runs.length - (this.#shared?.length ?? 0) }
  /** Positions that have KV. */
  get computed (): number { return this.runs.length }
  /** Positions that the output in waiting needs run. */
  get pending (): number { return this.tokens.length - this.runs.length }
  /** Whether the awaited position runs alone, as a decode row. */
  get runsAlone (): boolean { return this.#alone }
  /** Whether it waits for the outputs after every position, not only the last. */
  get wantsAll (): boolean { return this.#wantsAll }
  get isWaiting (): boolean { return this.#waiter !== null }
  /** Whether it waits for probes, and so for no output. */
  get isProbed (): boolean { return this.#probes.length > 0 }
  /** Layers that a probe runs: at least one, beside the embedding. */
  get probedLayers (): number { return Math.max(1, ...this.#layers) }
  get layers (): readonly number[] { return this.#layers }
  get poolFrom (): number { return this.options.poolFrom! }
  get fanOut (): number { return this.options.fanOut ?? 1 }
  /** Whether somebody reads along: see turns.ts. */
  get isStream (): boolean { return isStream(this.fanOut) }
  /**
   * Whether both can be in one part of a run: neighbours with a prompt in common and as many positions of their own, or
   * with none.
   */
  joins (other: EngineSequence): boolean {
    return this.#shared === other.#shared && (this.#shared === null || this.heldLength === other.heldLength) &&
      slabOf(this.slot) === slabOf(other.slot)
  }

  get salt (): string { return this.options.salt ?? '' }
  get inverseTemperature (): number { return this.options.temperature ? 1 / this.options.temperature : 1 }

  append (...tokens: number[]): void {
    this.#mustBeOpen()
    if (this.#waiter || this.isProbed) {
      throw new Error(`a sequence cannot be appended to while ${this.#waiter ? 'an output' : 'a probe'} is awaited`)
    }
    if (this.tokens.length + tokens.length > this.#host.contextLength) {
      throw new Error(`a sequence may have ${this.#host.contextLength} tokens; ${this.tokens.length + tokens.length} ` +
        'were given')
    }
    this.tokens.push(...tokens)
  }

  async output (): Promise<Output> { return (await this.#ask(false)).at(-1)! }

  async outputs (): Promise<readonly Output[]> { return await this.#ask(true) }

  #ask (all: boolean): Promise<readonly Output[]> {
    this.#mustBeOpen()
    if (this.#waiter) return this.#promise!
    if (all && this.#layers.length > 0) throw new Error('hidden states are given after the last token only')
    if (this.pending === 0 && this.#outputs.length > 0) return Promise.resolve(this.#outputs)
    if (this.pending === 0) throw new Error('a sequence that was cut needs a token before its next output')
    this.#letGo()
    this.#wantsAll = all
    // After a shared prompt every position runs alone, one after the other.
    this.#alone = this.#shared !== null || this.pending === 1
    const promise = new Promise<readonly Output[]>((resolve, reject) => { this.#waiter = { resolve, reject } })
    this.#promise = promise
    this.#host.enqueue(this)
    return promise
  }

  async probe (...tokens: number[]): Promise<States> {
    this.#mustBeOpen()
    if (this.#shared) throw new Error('a sequence that shares its prompt cannot be probed')
    if (this.pending > 0) throw new Error('a sequence can be probed when its output is there')
    if (tokens.length === 0 || tokens.length > this.#roomToProbe) {
      throw new Error(`a probe after ${this.tokens.length} tokens has 1 to ${this.#roomToProbe}; got ${tokens.length}`)
    }
    const states =
      new Promise<States>((resolve, reject) => { this.#probes = [...this.#probes, { tokens, resolve, reject }] })
    this.#host.readyToProbe(this.probedLayers)
      .then(() => { if (this.isProbed) this.#host.enqueue(this) }, (error: unknown) => { this.fail(error) })
    return await states
  }

  get #roomToProbe (): number { return Math.min(mostProbed, this.#host.contextLength - this.tokens.length) }

  /** The probes that run next: those that waited longest, as many as there is room for beyond its tokens. */
  get nextProbes (): readonly Probe[] {
    let room = this.#roomToProbe
    const end = this.#probes.findIndex(({ tokens: { length } }) => (room -= length) < 0)
    return end < 0 ? this.#probes : this.#probes.slice(0, end)
  }

  /**
   * Hands the states over that it would end with.
   * @param probes that have run, the oldest
   * @param hidden of their positions, one after the other, [count, D] by layer
   */
  resolveProbes (probes: readonly Probe[], hidden: ReadonlyMap<number, Float32Array>): void {
    this.#probes = this.#probes.slice(probes.length)
    const size = this.#host.hiddenSize
    let first = 0
    for (const { tokens: { length }, resolve } of probes) {
      const own =
        new Map([...hidden].map(([layer, values]) => [layer, values.subarray(first * size, (first + length) * size)]))
      const sums = this.#sums.fork()
      sums.add(length, Math.max(0, this.poolFrom - this.tokens.length), own)
      resolve(new LayerStates(sums.states(length, own), sums.count))
      first += length
    }
    if (this.options.ledger) this.options.ledger.computedTokens += first
  }

  truncate (length: number): void {
    this.#mustBeOpen()
    if (this.#waiter) throw new Error('a sequence cannot be cut while an output is awaited')
    if (length < 1 || length > this.tokens.length) {
      throw new Error(`a sequence of ${this.tokens.length} tokens can be cut to 1 to as many; got ${length}`)
    }
    if (this.#wasForked || !this.opened || this.#layers.length > 0) {
      throw new Error('a sequence that was forked, is a fork or pools hidden states cannot be cut')
    }
    this.#letGo()
    this.tokens.length = length
    this.runs.length = Math.min(this.runs.length, length)
  }

  fork (options: Pick<SequenceOptions, 'onPosition'> = {}): Sequence {
    this.#mustBeOpen()
    if (this.#waiter) throw new Error('a sequence cannot be forked while an output is awaited')
    this.#wasForked = true
    const child = new EngineSequence(this.#host, this.tokens.slice(), { ...this.options, ...options }, this)
    this.#host.forked(this, child)
    return child
  }

  close (): void {
    if (this.#closed) return
    this.#closed = true
    this.options.signal?.removeEventListener('abort', this.#onAbort)
    this.#letGo()
    this.#host.closed(this)
    this.fail(this.options.signal?.aborted ? this.options.signal.reason : new Error('the sequence was closed'))
  }

  /**
   * Records positions that a run computed.
   * @param hidden by layer the run's hidden states of this sequence, [count, D]
   */
  advance (count: number, hidden: ReadonlyMap<number, Float32Array>): void {
    const first = this.runs.length
    for (let i = 0; i < count; i++) this.runs.push(this.#alone ? decodeRun : chunkRun)
    this.#sums.add(count, Math.max(0, this.poolFrom - first), hidden)
    if (this.options.ledger) this.options.ledger.computedTokens += count
  }

  /**
   * Goes on after a prompt whose KV is elsewhere.
   * @param prompt all positions so far; held for this sequence already
   */
  share (prompt: SharedPrompt): void { this.#shared = prompt }

  /** Takes over KV that was computed elsewhere: the first `length` positions of a prompt, all run in chunks. */
  adopt (length: number): void {
    for (let i = 0; i < length; i++) this.runs.push(chunkRun)
    if (this.options.ledger) this.options.ledger.cachedTokens += length
  }

  /** Hidden states at the end, by layer. @param hidden as for `advance` */
  hiddenStates (count: number, hidden: ReadonlyMap<number, Float32Array>): Map<number, HiddenState> {
    return this.#sums.states(count, hidden)
  }

  /** Positions that the pooled mean covers. */
  get pooledTokens (): number { return Math.max(0, this.runs.length - this.poolFrom) }

  /** Adds to the outputs awaited. */
  give (row: OutputRow): void {
    row.holders++
    this.#outputs = [...this.#outputs, row]
  }

  /** Hands the awaited outputs over. */
  resolve (): void {
    const waiter = this.#waiter
    this.#waiter = null
    waiter?.resolve(this.#outputs)
  }

  /** Rejects what is awaited. The sequence stays as it was. */
  fail (reason: unknown): void {
    const rejected = [...this.#probes, ...this.#waiter ? [this.#waiter] : []]
    this.#waiter = null
    this.#probes = []
    for (const { reject } of rejected) reject(reason instanceof Error ? reason : new Error(String(reason)))
  }

  #letGo (): void {
    for (const output of this.#outputs) output.holders--
    this.#outputs = []
  }

  #mustBeOpen (): void {
    if (!this.#closed) return
    this.options.signal?.throwIfAborted()
    throw new Error('the sequence has been closed')
  }
}
