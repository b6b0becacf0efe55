/**
 * Who sits where: gives sequences slots with all the KV that is there for them already, moves out what sits idle when
 * none is free, shares prompts between the candidates of one request, keeps what a sequence leaves behind for later
 * ones. Changes seats only between runs. Knows no runs and no outputs.
 */
import type { DecoderConfig } from '../../../models/decoder-config.js'
import type { EngineSequence } from '../../engine-sequence.js'
import { coveredLength, type History } from '../history.js'
import { kvBytesPerToken, KvCache, slotsPerSlab, type KvViews, type SharedPrompt } from './kv-cache.js'
import { blockTokens, PrefixCache, type CachedPrefix } from '../prefix-cache.js'
import { SlotTable } from './slots.js'

export interface SeatingOptions {
  /** Longest sequence, tokens. */
  readonly contextLength: number
  /** Sequences that can run at the same time; more can be open. */
  readonly maxSequences: number
  /** Bytes of KV that requests may reserve together. */
  readonly kvCacheBytes: number
  /** Bytes of KV kept for later prompts; 0 turns the prefix cache off. */
  readonly prefixCacheBytes: number
  /** Told when there is no memory for as many sequences as can run at the same time. */
  readonly onProblem?: (message: string) => void
}

/** KV of a sequence's first positions, and where it is: a slot, or packed outside of them. */
interface Found { readonly from: number | Float32Array | CachedPrefix, readonly length: number }

/** A match must leave two positions of the prompt to run, for the last one's logits in a chunk. */
const leastLeft = 2

/**
 * Slots together keep this share of the KV memory of former owners, for whoever comes next: a search with look-aheads
 * forks the same sequences again and again.
 */
const leftShare = 1 / 8

/** Seats changed in a step only to bring rows together, at most: copies are short, but a step waits for them. */
const mostMoves = 4
/** More seats are changed for candidates that have hardly begun: together they hold this many tokens, at most. */
const mostMovedTokens = 256

export class Seating {
  /** Slots there are. */
  readonly count: number
  readonly #kv: KvCache
  readonly #slots: SlotTable
  readonly #prefixCache: PrefixCache
  /** Every open sequence. */
  readonly #open = new Set<EngineSequence>()
  readonly #owners: Array<EngineSequence | null>
  /** Positions whose memory former owners may leave. */
  readonly #mostLeft: number

  /** @throws RequestError where there is no memory for a slab of slots */
  constructor (
    config: DecoderConfig,
    { contextLength, maxSequences, kvCacheBytes, prefixCacheBytes, onProblem = () => {} }: SeatingOptions
  ) {
    this.#mostLeft = Math.floor(leftShare * kvCacheBytes / kvBytesPerToken(config))
    this.count = maxSequences
    this.#kv = new KvCache(config, contextLength, onProblem)
    this.#slots = new SlotTable(this.count)
    this.#prefixCache = new PrefixCache(prefixCacheBytes, this.#kv.packedDims(blockTokens))
    this.#owners = new Array<EngineSequence | null>(this.count).fill(null)
  }

  get open (): ReadonlySet<EngineSequence> { return this.#open }
  /** Tokens whose KV open sequences hold, a shared prompt counted once. */
  get kvTokens (): number {
    const shared = new Set<SharedPrompt>()
    let tokens = 0
    for (const { slot, aside, shared: prompt, heldLength } of this.#open) {
      if (slot >= 0 || aside) tokens += heldLength
      if (prompt) shared.add(prompt)
    }
    return [...shared].reduce((sum, { length }) => sum + length, tokens)
  }

  /** Bytes of KV kept for later prompts. */
  get cachedBytes (): number { return this.#prefixCache.sizeBytes }

  owner (slot: number): EngineSequence | null { return this.#owners[slot] ?? null }

  /** Where a slot's next position will be written: a row that rides along writes there, and nothing is lost. */
  nextPosition (slot: number): number {
    const owner = this.#owners[slot]
    return owner ? owner.heldLength : this.#slots.leftLength(slot)!
  }

  views (
    slot: number, count: number, part: number, layers?: number
  ): KvViews { return this.#kv.views(slot, count, part, layers) }

  add (sequence: EngineSequence): void { this.#open.add(sequence) }

  /** A fork waits with its parent's slot pinned until it is seated itself. */
  addFork (parent: EngineSequence, child: EngineSequence): void {
    this.#open.add(child)
    child.aside = parent.aside
    const source = parent.slot >= 0 ? parent.slot : parent.source
    if (source < 0 || child.heldLength === 0) return
    child.source = source
    this.#slots.pin(source)
  }

  /**
   * Gives a sequence a slot with all the KV that is there for it already.
   * @param mayYield whether a seated sequence may be moved out for it
   * @returns whether there was one
   */
  seat (sequence: EngineSequence, mayYield: (seated: EngineSequence) => boolean): boolean {
    if (!this.#hasFree && !this.#moveOut(mayYield)) return false
    const known = this.#known(sequence)
    const seat = this.#slots.take(sequence.held)!
    sequence.slot = seat.slot
    this.#owners[seat.slot] = sequence
    if (!known) return true
    this.#fill(seat.slot, known, Math.min(seat.length, known.length))
    if (sequence.computed === 0) sequence.adopt(known.length)
    this.#dropSource(sequence)
    sequence.aside = null
    return true
  }

  /** Whether there is a slot to take that has memory. */
  get #hasFree (): boolean {
    const free = this.#slots.firstFree(0, this.count)
    return free !== null && this.#kv.reserve(free)
  }

  /** Caches what there is of a sequence's prompt. */
  keepPrompt (sequence: EngineSequence): void {
    const { slot } = sequence
    this.#prefixCache.keep(sequence, sequence.salt, (start, kv) => { this.#kv.read(slot, start, kv) })
  }

  /** Moves a prompt out of its slot to where candidates share it; the slot goes on with what follows. */
  share (sequence: EngineSequence): void {
    this.keepPrompt(sequence)
    sequence.share(this.#kv.sharedPrompt(sequence.slot, sequence.computed))
    this.#kv.discard(sequence.slot)
  }

  /** Brings sequences that run together into neighbouring slots, as far as there are free ones and copies are short. */
  gather (sequences: readonly EngineSequence[]): void {
    const bySlot = [...sequences].sort((a, b) => a.slot - b.slot)
    for (let first = 0; first < bySlot.length; first += slotsPerSlab) {
      const group = bySlot.slice(first, first + slotsPerSlab)
      if (!this.#moveTogether(group)) this.#closeGaps(group)
    }
  }

  /** Moves all into the window of slots where most of them sit. @returns whether they are neighbours now */
  #moveTogether (group: readonly EngineSequence[]): boolean {
    const start = this.#slots.window(group.length, slotsPerSlab, new Set(group.map(({ slot }) => slot)))
    if (start === null || !this.#kv.reserve(start)) return false
    const end = start + group.length
    const movers = group.filter(({ slot }) => slot < start || slot >= end)
    const tokens = movers.reduce((sum, { heldLength }) => sum + heldLength, 0)
    if ((movers.length > mostMoves && tokens > mostMovedTokens) ||
        movers.some(({ slot }) => this.#slots.pins(slot) > 0)) return false
    for (const mover of movers) this.#move(mover, this.#slots.firstFree(start, end)!)
    return true
  }

  /** While there are free slots between theirs, the last one moves there. */
  #closeGaps (bySlot: readonly EngineSequence[]): void {
    for (const last of bySlot.slice(1).slice(-mostMoves).reverse()) {
      const gap = this.#slots.firstFree(bySlot[0]!.slot, last.slot)
      if (gap === null || this.#slots.pins(last.slot) > 0) return
      this.#move(last, gap)
    }
  }

  #move (sequence: EngineSequence, slot: number): void {
    this.#kv.copy(sequence.slot, slot, 0, sequence.heldLength)
    this.#slots.takeSlot(slot)
    this.#vacate(sequence, sequence.held)
    sequence.slot = slot
    this.#owners[slot] = sequence
  }

  /** Takes a closed sequence's seat away; its prompt stays cached. */
  leave (sequence: EngineSequence): void {
    this.#open.delete(sequence)
    this.#dropSource(sequence)
    const { slot, held, shared } = sequence
    if (slot >= 0) {
      if (sequence.opened && !shared) this.keepPrompt(sequence)
      this.#vacate(sequence, held)
      if (this.#slots.touchedTokens > this.#mostLeft && this.#slots.pins(slot) === 0) this.#empty(slot)
    }
    sequence.aside = null
    shared?.release()
  }

  #vacate (sequence: EngineSequence, residue: History): void {
    this.#owners[sequence.slot] = null
    this.#slots.free(sequence.slot, residue)
    sequence.slot = -1
  }

  /** What there is of a sequence's KV outside its slot. */
  #known (sequence: EngineSequence): Found | null {
    if (sequence.aside) return { from: sequence.aside, length: sequence.heldLength }
    if (sequence.source >= 0) return { from: sequence.source, length: sequence.heldLength }
    return sequence.computed === 0 ? this.#findPrefix(sequence) : null
  }

  /** Writes positions [start, length) of what is known into a slot. */
  #fill (slot: number, { from, length }: Found, start: number): void {
    if (typeof from === 'number') this.#kv.copy(from, slot, start, length)
    else if (from instanceof Float32Array) this.#kv.putBack(slot, from, length)
    else {
      for (const [index, block] of from.blocks.entries()) {
        const first = index * blockTokens
        if (first + blockTokens > start && first < length) {
          this.#kv.write(slot, first, block, Math.min(blockTokens, length - first))
        }
      }
    }
  }

  /** Frees a slot by packing what is in it: KV of a sequence that may yield, or what only forks still wait to copy. */
  #moveOut (mayYield: (seated: EngineSequence) => boolean): boolean {
    const slot = this.#owners.findLastIndex((owner, at) => owner ? mayYield(owner) : this.#slots.pins(at) > 0)
    if (slot < 0) return false
    const owner = this.#owners[slot]
    const forks = [...this.#open].filter(sequence => sequence.source === slot)
    const aside = this.#kv.setAside(slot, Math.max(owner?.heldLength ?? 0, ...forks.map(fork => fork.heldLength)))
    for (const fork of forks) {
      this.#dropSource(fork)
      fork.aside = aside
    }
    if (owner) {
      owner.aside = aside
      this.#vacate(owner, owner.held)
    }
    this.#empty(slot)
    return true
  }

  /** Gives a free slot's memory back. */
  #empty (slot: number): void {
    this.#slots.empty(slot)
    this.#kv.discard(slot)
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
    let best: Found | null = cached && { from: cached, length: cached.length }
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
      if ((owner === null) !== (this.#slots.leftLength(slot) !== null)) {
        throw new Error(`slot ${slot} is ${owner ? 'owned and free' : 'neither owned nor free'}`)
      }
      if (owner && (owner.slot !== slot || !this.#open.has(owner))) {
        throw new Error(`slot ${slot} is owned by a sequence that is closed or elsewhere`)
      }
      const forks = [...this.#open].filter(sequence => sequence.source === slot).length
      if (forks !== this.#slots.pins(slot)) {
        throw new Error(`slot ${slot} has ${this.#slots.pins(slot)} pins for ${forks} forks`)
      }
    }
    for (const { slot, source, aside } of this.#open) {
      if (aside && (slot >= 0 || source >= 0)) {
        throw new Error('a sequence was moved out and ' +
          `${slot >= 0 ? `sits in slot ${slot}` : `waits for a copy of slot ${source}`}`)
      }
    }
  }

  dispose (): void {
    this.#prefixCache.dispose()
    this.#kv.dispose()
  }
}
