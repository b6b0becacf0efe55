/**
 * Who sits where: gives sequences slots with all the KV that is there for them already, shares prompts between the candidates of one request, keeps
 * what a sequence leaves behind for later ones. Changes seats only between runs. Knows no runs and no outputs.
 */
import type { DecoderConfig } from '../models/decoder-config.js'
import type { EngineSequence } from './engine-sequence.js'
import { chunkRun, coveredLength } from './history.js'
import { KvCache, slotsPerSlab, type KvSnapshot, type KvViews } from './kv-cache.js'
import { PrefixCache } from './prefix-cache.js'
import { SlotTable } from './slots.js'

export interface SeatingOptions {
  /** Longest sequence, tokens. */
  readonly contextLength: number
  /** Sequences that hold KV at the same time. */
  readonly maxSequences: number
  /** Tokens of KV kept for later prompts; 0 turns the prefix cache off. */
  readonly prefixCacheTokens: number
}

/** KV of the beginning of a prompt: a snapshot, or a slot. */
interface Found { readonly from: number | KvSnapshot, readonly length: number }

/** A match must leave two positions of the prompt to run, for the last one's logits in a chunk. */
const leastLeft = 2

export class Seating {
  /** Slots there are. */
  readonly count: number
  readonly #kv: KvCache
  readonly #slots: SlotTable
  readonly #prefixCache: PrefixCache
  /** Every open sequence. */
  readonly #open = new Set<EngineSequence>()
  readonly #owners: Array<EngineSequence | null>

  constructor (config: DecoderConfig, { contextLength, maxSequences, prefixCacheTokens }: SeatingOptions) {
    this.count = Math.ceil(maxSequences / slotsPerSlab) * slotsPerSlab
    this.#kv = new KvCache(config, contextLength)
    this.#slots = new SlotTable(this.count)
    this.#prefixCache = new PrefixCache(prefixCacheTokens)
    this.#owners = new Array<EngineSequence | null>(this.count).fill(null)
  }

  get open (): ReadonlySet<EngineSequence> { return this.#open }
  /** Tokens whose KV open sequences hold, a shared prompt counted once. */
  get kvTokens (): number {
    const shared = new Set<KvSnapshot>()
    let tokens = 0
    for (const { slot, shared: prompt, heldLength } of this.#open) {
      if (slot >= 0) tokens += heldLength
      if (prompt) shared.add(prompt)
    }
    return [...shared].reduce((sum, { length }) => sum + length, tokens)
  }

  get cachedKvTokens (): number { return this.#prefixCache.tokens }

  owner (slot: number): EngineSequence | null { return this.#owners[slot] ?? null }

  /** Where a slot's next position will be written: a row that rides along writes there, and nothing is lost. */
  nextPosition (slot: number): number {
    const owner = this.#owners[slot]
    return owner ? owner.heldLength : this.#slots.leftLength(slot)!
  }

  views (slot: number, count: number, part: number): KvViews { return this.#kv.views(slot, count, part) }

  add (sequence: EngineSequence): void { this.#open.add(sequence) }

  /** A fork waits with its parent's slot pinned until it is seated itself. */
  addFork (parent: EngineSequence, child: EngineSequence): void {
    this.#open.add(child)
    const source = parent.slot >= 0 ? parent.slot : parent.source
    if (source < 0 || child.heldLength === 0) return
    child.source = source
    this.#slots.pin(source)
  }

  /** Gives a sequence a slot with all the KV that is there for it already. @returns whether one was free */
  seat (sequence: EngineSequence): boolean {
    const known: Found | null = sequence.source >= 0 ? { from: sequence.source, length: sequence.heldLength } : sequence.computed === 0 ? this.#findPrefix(sequence) : null
    const seat = this.#slots.take(sequence.held)
    if (!seat) return false
    sequence.slot = seat.slot
    this.#owners[seat.slot] = sequence
    if (!known) return true
    const there = Math.min(seat.length, known.length)
    if (typeof known.from === 'number') this.#kv.copy(known.from, seat.slot, there, known.length)
    else this.#kv.restore(known.from, seat.slot, there, known.length)
    if (sequence.computed === 0) sequence.adopt(known.length)
    this.#dropSource(sequence)
    return true
  }

  /** Moves a prompt out of its slot to where candidates share it; the slot goes on with what follows. */
  share (sequence: EngineSequence): void {
    const prompt = this.#kv.snapshot(sequence.slot, sequence.computed)
    this.#prefixCache.keep(sequence, sequence.salt, () => prompt.hold())
    sequence.share(prompt)
  }

  /** Takes a closed sequence's seat away; its prompt stays cached. */
  leave (sequence: EngineSequence): void {
    this.#open.delete(sequence)
    this.#dropSource(sequence)
    const { slot, held, shared } = sequence
    if (slot >= 0) {
      this.#owners[slot] = null
      this.#slots.free(slot, held)
      if (sequence.opened && !shared) this.#keepPrompt(sequence)
    }
    shared?.release()
  }

  #keepPrompt ({ tokens, runs, salt, slot }: EngineSequence): void {
    // Only positions run in chunks can stand in for a prompt's.
    const end = runs.findIndex(run => run !== chunkRun)
    const prompt = { tokens, runs: end < 0 ? runs : runs.slice(0, end) }
    this.#prefixCache.keep(prompt, salt, () => this.#kv.snapshot(slot, prompt.runs.length))
  }

  #dropSource (sequence: EngineSequence): void {
    if (sequence.source < 0) return
    this.#slots.unpin(sequence.source)
    sequence.source = -1
  }

  /** The longest beginning of a prompt that is cached or held by an open sequence of the same salt. */
  #findPrefix (sequence: EngineSequence): Found | null {
    if (!this.#prefixCache.isOn) return null
    const limit = Math.min(sequence.tokens.length - leastLeft, sequence.poolFrom)
    const cached = this.#prefixCache.find(sequence.tokens, sequence.salt)
    let best: Found | null = cached && { from: cached.kv, length: cached.length }
    for (const other of this.#open) {
      if (other.slot < 0 || other.shared || other === sequence || other.salt !== sequence.salt) continue
      const length = coveredLength(other, sequence.tokens)
      if (length > (best?.length ?? 0)) best = { from: other.slot, length }
    }
    return best && limit > 0 ? { from: best.from, length: Math.min(best.length, limit) } : null
  }

  /** Throws if slots, owners and pins disagree. */
  checkIntegrity (): void {
    for (let slot = 0; slot < this.count; slot++) {
      const owner = this.#owners[slot]
      if ((owner === null) !== (this.#slots.leftLength(slot) !== null)) throw new Error(`slot ${slot} is ${owner ? 'owned and free' : 'neither owned nor free'}`)
      if (owner && (owner.slot !== slot || !this.#open.has(owner))) throw new Error(`slot ${slot} is owned by a sequence that is closed or elsewhere`)
      const forks = [...this.#open].filter(sequence => sequence.source === slot).length
      if (forks !== this.#slots.pins(slot)) throw new Error(`slot ${slot} has ${this.#slots.pins(slot)} pins for ${forks} forks`)
    }
  }

  dispose (): void {
    this.#prefixCache.clear()
    this.#kv.dispose()
  }
}
