/**
 * One open sequence: its tokens, how many of them have KV, and the output that its owner waits for. Knows no other
 * sequence, nor where its KV is; the engine schedules and runs.
 */
import type { HiddenBasis } from '../models/hidden-basis.js'
import { ComputedPositions } from './computed-positions.js'
import type { DeviceProfile } from './device-profile.js'
import type { DeviceSequence } from './executor/device/device-executor.js'
import type { SequenceOutput } from './executor/executor.js'
import type { OutputRow } from './executor/output-row.js'
import { HiddenSums } from './hidden-states.js'
import { decodeRun, prefillRun, shortRun } from './kv/history.js'
import type { PagedSequence } from './kv/paged/paged-manager.js'
import { ProbeQueue, type Probe } from './probe-queue.js'
import type { SchedulableSequence } from './scheduler/scheduler.js'
import type { DraftableSequence, Output, Sequence, SequenceOptions, States } from './sequence.js'

/** What a sequence needs of its engine. */
export interface SequenceOwner {
  /** The sequence waits for an output or for probes. */
  enqueue (sequence: EngineSequence): void
  forked (parent: EngineSequence, child: EngineSequence): void
  closed (sequence: EngineSequence): void
  /** Waits until sequences that want these layers can be probed. */
  prepareProbes (layers: readonly number[]): Promise<void>
  readonly contextLength: number
  /** Width D of a hidden state. */
  readonly hiddenSize: number
  readonly hiddenBasis: HiddenBasis | null
  readonly profile: DeviceProfile
}

/** For positions whose hidden states are not needed. */
const noStates: ReadonlyMap<number, never> = new Map<number, never>()

interface Waiter { readonly resolve: (outputs: readonly Output[]) => void, readonly reject: (reason: Error) => void }

export class EngineSequence implements DraftableSequence, SchedulableSequence, DeviceSequence, PagedSequence {
  readonly tokens: number[]
  readonly options: SequenceOptions
  readonly #owner: SequenceOwner
  readonly #computed: ComputedPositions
  readonly layers: readonly number[]
  /** Of hidden states over the pooled positions. */
  readonly #sums: HiddenSums
  readonly #onAbort: () => void
  /** Whether the KV of its prompt is stored once for it and others of its request. */
  sharesPrompt = false
  /** Whether it was opened with a prompt rather than forked. */
  readonly opened: boolean
  /** Outputs after the last tokens, the last one's last: one, or as many as were asked for. */
  #outputs: readonly OutputRow[] = []
  #waiter: Waiter | null = null
  #promise: Promise<readonly Output[]> | null = null
  readonly #probes = new ProbeQueue()
  #closed = false
  #wasForked = false
  /** Whether the outputs in waiting are those after every position. */
  #wantsAll = false
  /** How the tokens that wait are run. */
  #run = prefillRun
  /** Whether the output that is there is to be given again, with all logits. */
  #isRepeated = false

  constructor (owner: SequenceOwner, tokens: number[], options: SequenceOptions, parent?: EngineSequence) {
    this.#owner = owner
    this.tokens = tokens
    this.options = options
    this.opened = parent === undefined
    this.sharesPrompt = parent?.sharesPrompt ?? false
    this.#computed = new ComputedPositions(parent ? parent.#computed : undefined)
    this.layers = options.layers ?? []
    this.#sums = parent ? parent.#sums.fork() : HiddenSums.of(this.layers, owner.hiddenSize, owner.hiddenBasis)
    this.#outputs = parent ? parent.#outputs.slice(-1) : []
    for (const output of this.#outputs) output.holders++
    this.#onAbort = () => { this.close() }
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get isClosed (): boolean { return this.#closed }
  get numComputedTokens (): number { return this.runs.length }
  get runs (): readonly number[] { return this.#computed.runs }
  get lost (): readonly number[] { return this.#computed.lost }
  get isRestored (): boolean { return this.lost.length > 0 }
  get nextRun (): number { return this.lost[0] ?? this.#run }
  get isDecode (): boolean { return this.nextRun === decodeRun }
  get wantsEveryPosition (): boolean {
    return !this.isRestored && (this.#wantsAll || this.options.onPosition !== undefined)
  }

  get wantsLogits (): boolean { return this.#isRepeated || this.options.listedLogits !== true }
  /** Whether there is KV to probe, too. */
  get isProbed (): boolean { return !this.#probes.isEmpty && !this.isRestored }
  get poolFrom (): number { return this.options.poolFrom! }
  get fanOut (): number { return this.options.fanOut ?? 1 }
  get isStream (): boolean { return this.fanOut <= this.#owner.profile.scheduling.maxStreamFanOut }
  get caller (): string { return this.options.caller ?? '' }
  get salt (): string { return this.options.salt ?? '' }
  get inverseTemperature (): number { return this.options.temperature ? 1 / this.options.temperature : 1 }

  get numNewTokens (): number { return this.isRestored ? this.#computed.nextLost : this.#numWaiting }

  /** Tokens that have never been run. */
  get #numWaiting (): number { return this.tokens.length - this.#computed.count }

  /** A prefix-cache hit leaves a token to run, and those whose hidden states are pooled. */
  get maxAdopted (): number {
    if (this.isRestored) return this.lost.length - (this.#isRepeated ? 1 : 0)
    return Math.min(this.tokens.length - 1, this.poolFrom)
  }

  append (...tokens: number[]): void {
    this.#mustBeOpen()
    if (this.#waiter || !this.#probes.isEmpty) {
      throw new Error(`a sequence cannot be appended to while ${this.#waiter ? 'an output' : 'a probe'} is awaited`)
    }
    if (this.tokens.length + tokens.length > this.#owner.contextLength) {
      throw new Error(`a sequence may have ${this.#owner.contextLength} tokens; ` +
        `${this.tokens.length + tokens.length} ` +
        'were given')
    }
    this.tokens.push(...tokens)
  }

  async output (): Promise<Output> { return (await this.#ask(false)).at(-1)! }

  async outputs (): Promise<readonly Output[]> { return await this.#ask(true) }

  #ask (all: boolean): Promise<readonly Output[]> {
    this.#mustBeOpen()
    if (this.#waiter) return this.#promise!
    if (all && this.layers.length > 0) throw new Error('hidden states are given after the last token only')
    if (this.#numWaiting === 0 && this.#outputs.length > 0) return Promise.resolve(this.#outputs)
    if (this.#numWaiting === 0) throw new Error('a sequence that was cut needs a token before its next output')
    this.#letGo()
    this.#wantsAll = all
    this.#run = this.#runOf(this.#numWaiting)
    return this.#wait()
  }

  /** How so many tokens are run that an output is asked for: never a function of the load. */
  #runOf (count: number): number {
    // After a shared prompt every position is a decode row, one after the other.
    if (this.sharesPrompt || count === 1) return decodeRun
    return count < this.#owner.profile.passes.minLongChunk ? shortRun : prefillRun
  }

  async completeOutput (): Promise<Output> {
    this.#mustBeOpen()
    const output = this.#outputs.at(-1)
    if (!output || this.#waiter || this.#numWaiting > 0) throw new Error('a sequence has no output to complete')
    if (!output.isPartial) return output
    this.lose(this.tokens.length - 1)
    this.#isRepeated = true
    return (await this.#wait()).at(-1)!
  }

  #wait (): Promise<readonly Output[]> {
    const promise = new Promise<readonly Output[]>((resolve, reject) => { this.#waiter = { resolve, reject } })
    this.#promise = promise
    this.#owner.enqueue(this)
    return promise
  }

  async probe (...tokens: number[]): Promise<States> {
    this.#mustBeOpen()
    if (this.sharesPrompt) throw new Error('a sequence that shares its prompt cannot be probed')
    if (this.#numWaiting > 0 || this.#waiter) throw new Error('a sequence can be probed when its output is there')
    if (tokens.length === 0 || tokens.length > this.#roomToProbe) {
      throw new Error(`a probe after ${this.tokens.length} tokens has 1 to ${this.#roomToProbe}; got ${tokens.length}`)
    }
    const states = this.#probes.push(tokens)
    this.#owner.prepareProbes(this.layers)
      .then(() => { if (!this.#probes.isEmpty) this.#owner.enqueue(this) }, (error: unknown) => { this.fail(error) })
    return await states
  }

  get #roomToProbe (): number {
    return Math.min(this.#owner.profile.passes.maxProbeTokens, this.#owner.contextLength - this.tokens.length)
  }

  /** The probes that run next: those that waited longest, as many as there is room for beyond its tokens. */
  get nextProbes (): readonly Probe[] { return this.#probes.next(this.#roomToProbe) }

  /**
   * Hands the states over that it would end with.
   * @param probes that have run, the oldest
   * @param hidden of their positions, one after the other, [count, D] by layer
   */
  resolveProbes (probes: readonly Probe[], hidden: ReadonlyMap<number, Float32Array>): void {
    const skip = Math.max(0, this.poolFrom - this.tokens.length)
    const count = this.#probes.resolve(probes, this.#sums, skip, hidden, this.#owner.hiddenSize)
    if (this.options.ledger) this.options.ledger.computedTokens += count
  }

  truncate (length: number): void {
    this.#mustBeOpen()
    if (this.#waiter) throw new Error('a sequence cannot be cut while an output is awaited')
    if (length < 1 || length > this.tokens.length) {
      throw new Error(`a sequence of ${this.tokens.length} tokens can be cut to 1 to as many; got ${length}`)
    }
    if (this.#wasForked || !this.opened || this.layers.length > 0) {
      throw new Error('a sequence that was forked, is a fork or pools hidden states cannot be cut')
    }
    this.#letGo()
    this.tokens.length = length
    this.#computed.cut(length)
  }

  fork (options: Pick<SequenceOptions, 'onPosition'> = {}): Sequence {
    this.#mustBeOpen()
    if (this.#waiter) throw new Error('a sequence cannot be forked while an output is awaited')
    this.#wasForked = true
    const child = new EngineSequence(this.#owner, this.tokens.slice(), { ...this.options, ...options }, this)
    this.#owner.forked(this, child)
    return child
  }

  close (): void {
    if (this.#closed) return
    this.#closed = true
    this.options.signal?.removeEventListener('abort', this.#onAbort)
    this.#letGo()
    this.#owner.closed(this)
    this.fail(this.options.signal?.aborted ? this.options.signal.reason : new Error('the sequence was closed'))
  }

  adopt (numCachedTokens: number): void {
    if (this.isRestored) {
      this.#computed.restore(numCachedTokens)
      return
    }
    this.#computed.push(numCachedTokens, prefillRun)
    if (this.options.ledger) this.options.ledger.cachedTokens += numCachedTokens
  }

  lose (length: number): void { this.#computed.lose(length) }

  /** Takes KV that was computed again. @returns whether an output was wanted again, and is there */
  #restore ({ numNewTokens: count, row }: SequenceOutput): boolean {
    this.#computed.restore(count)
    if (this.isRestored || !this.#isRepeated) return false
    const { states, pooledTokens } = this.#outputs.at(-1)!
    this.#letGo()
    this.#give(row(count - 1, states, pooledTokens))
    this.#isRepeated = false
    return true
  }

  /**
   * Takes what a pass computed: its positions have KV now, and what its owner waits for is added to the outputs.
   * @returns whether all that was asked for is there
   */
  commit (output: SequenceOutput): boolean {
    if (this.isRestored) return this.#restore(output)
    const { numNewTokens: count, hidden, row } = output
    const { ledger, onPosition } = this.options
    const first = this.runs.length
    if (onPosition && !this.isDecode) {
      for (let at = 0; at < count; at++) onPosition(first + at, row(at, noStates, 0).distribution)
    }
    this.#computed.push(count, this.#run)
    this.#sums.add(count, Math.max(0, this.poolFrom - first), hidden)
    if (ledger) ledger.computedTokens += count
    const pooled = Math.max(0, this.runs.length - this.poolFrom)
    if (this.#wantsAll) for (let at = 0; at < count - 1; at++) this.#give(row(at, noStates, pooled))
    const isDone = this.numNewTokens === 0
    if (this.#wantsAll || isDone) this.#give(row(count - 1, this.#sums.states(count, hidden), pooled))
    return isDone
  }

  #give (row: OutputRow): void {
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
    const rejected = [...this.#probes.clear(), ...this.#waiter ? [this.#waiter] : []]
    this.#waiter = null
    this.#isRepeated = false
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
