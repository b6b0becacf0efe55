/**
 * One open sequence: its tokens, what of them has KV and where, and the output that its owner waits for. Knows no other
 * sequence; the engine plans and runs.
 */
import { chunkRun, decodeRun, type History } from './history.js'
import type { SharedPrompt } from './kv-cache.js'
import type { Output, Sequence, SequenceOptions } from './sequence.js'
import type { HiddenState, OutputRow } from './step-outputs.js'
import { isStream } from './turns.js'

/** What a sequence needs of its engine. */
export interface SequenceHost {
  /** The sequence waits for an output. */
  enqueue (sequence: EngineSequence): void
  forked (parent: EngineSequence, child: EngineSequence): void
  closed (sequence: EngineSequence): void
  readonly contextLength: number
  /** Width D of a hidden state. */
  readonly hiddenSize: number
}

interface Waiter { readonly resolve: (output: Output) => void, readonly reject: (reason: Error) => void }

export class EngineSequence implements Sequence, History {
  readonly tokens: number[]
  /** How each position that has KV was run. */
  readonly runs: number[]
  readonly options: SequenceOptions
  readonly #host: SequenceHost
  readonly #layers: readonly number[]
  /** Running sums of hidden states over the pooled positions, by layer. */
  readonly #sums: Map<number, Float64Array>
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
  #output: OutputRow | null = null
  #waiter: Waiter | null = null
  #promise: Promise<Output> | null = null
  #closed = false
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
    this.#sums = new Map(this.#layers.map(layer => [layer, parent ? parent.#sums.get(layer)!.slice() : new Float64Array(host.hiddenSize)]))
    this.#output = parent ? parent.#output : null
    if (this.#output) this.#output.holders++
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
  get isWaiting (): boolean { return this.#waiter !== null }
  get layers (): readonly number[] { return this.#layers }
  get poolFrom (): number { return this.options.poolFrom! }
  get fanOut (): number { return this.options.fanOut ?? 1 }
  /** Whether somebody reads along: see turns.ts. */
  get isStream (): boolean { return isStream(this.fanOut) }
  get salt (): string { return this.options.salt ?? '' }
  get inverseTemperature (): number { return this.options.temperature ? 1 / this.options.temperature : 1 }

  append (...tokens: number[]): void {
    this.#mustBeOpen()
    if (this.#waiter) throw new Error('a sequence cannot be appended to while an output is awaited')
    if (this.tokens.length + tokens.length > this.#host.contextLength) throw new Error(`a sequence may have ${this.#host.contextLength} tokens; ${this.tokens.length + tokens.length} were given`)
    this.tokens.push(...tokens)
  }

  output (): Promise<Output> {
    this.#mustBeOpen()
    if (this.#waiter) return this.#promise!
    if (this.pending === 0 && this.#output) return Promise.resolve(this.#output)
    this.#letGo()
    // After a shared prompt every position runs alone, one after the other.
    this.#alone = this.#shared !== null || this.pending === 1
    const promise = new Promise<Output>((resolve, reject) => { this.#waiter = { resolve, reject } })
    this.#promise = promise
    this.#host.enqueue(this)
    return promise
  }

  fork (options: Pick<SequenceOptions, 'onPosition'> = {}): Sequence {
    this.#mustBeOpen()
    if (this.#waiter) throw new Error('a sequence cannot be forked while an output is awaited')
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
    const skip = Math.max(0, this.poolFrom - first)
    for (const [layer, values] of hidden) {
      const sum = this.#sums.get(layer)
      if (sum) for (let i = skip * sum.length; i < count * sum.length; i++) sum[i % sum.length]! += values[i]!
    }
    if (this.options.ledger) this.options.ledger.computedTokens += count
  }

  /** Goes on after a prompt whose KV is elsewhere. @param prompt all positions so far; held for this sequence already */
  share (prompt: SharedPrompt): void { this.#shared = prompt }

  /** Takes over KV that was computed elsewhere: the first `length` positions of a prompt, all run in chunks. */
  adopt (length: number): void {
    for (let i = 0; i < length; i++) this.runs.push(chunkRun)
    if (this.options.ledger) this.options.ledger.cachedTokens += length
  }

  /** Hidden states at the end, by layer. @param hidden as for `advance` */
  hiddenStates (count: number, hidden: ReadonlyMap<number, Float32Array>): Map<number, HiddenState> {
    return new Map(this.#layers.map(layer => {
      const sum = this.#sums.get(layer)!
      const pooled = new Float32Array(sum.length)
      if (this.pooledTokens > 0) for (let i = 0; i < sum.length; i++) pooled[i] = sum[i]! / this.pooledTokens
      return [layer, { last: hidden.get(layer)!.slice((count - 1) * sum.length, count * sum.length), pooled }]
    }))
  }

  /** Positions that the pooled mean covers. */
  get pooledTokens (): number { return Math.max(0, this.runs.length - this.poolFrom) }

  /** Hands the awaited output over. */
  resolve (row: OutputRow): void {
    row.holders++
    this.#output = row
    const waiter = this.#waiter
    this.#waiter = null
    waiter?.resolve(row)
  }

  /** Rejects the awaited output, if one is. The sequence stays as it was. */
  fail (reason: unknown): void {
    const waiter = this.#waiter
    this.#waiter = null
    waiter?.reject(reason instanceof Error ? reason : new Error(String(reason)))
  }

  #letGo (): void {
    if (this.#output) this.#output.holders--
    this.#output = null
  }

  #mustBeOpen (): void {
    if (!this.#closed) return
    this.options.signal?.throwIfAborted()
    throw new Error('the sequence has been closed')
  }
}
