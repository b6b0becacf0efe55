/**
 * The KV manager of host memory: gives sequences slots with all the KV that is there for them already, swaps out what
 * is idle when none is free, stores prompts that candidates share once, keeps what a sequence leaves behind for later
 * ones. Where a forked candidate's KV is: its placement says the slot of its parent until it has its own.
 */
import type { DecoderConfig } from '../../../models/decoder-config.js'
import type { SlotProfile } from '../../device-profile.js'
import { coveredLength, type History } from '../history.js'
import type { KvManager, KvSequence } from '../kv-manager.js'
import { compact } from './compaction.js'
import { Placement } from './placement.js'
import { blockTokens, PrefixCache, type CachedPrefix } from './prefix-cache.js'
import type { SharedPrompt } from './shared-prompt.js'
import { kvBytesPerToken, slabOf, SlotMemory } from './slot-memory.js'
import { SlotTable } from './slot-table.js'

export interface SlotOptions {
  /** Longest sequence, tokens. */
  readonly contextLength: number
  /** Sequences that can run at the same time; more can be open. */
  readonly maxSequences: number
  /** Bytes of KV that requests may reserve together. */
  readonly kvCacheBytes: number
  /** Bytes of KV kept for later prompts; 0 turns the prefix cache off. */
  readonly prefixCacheBytes: number
  /** Called when there is no memory for as many sequences as can run concurrently. */
  readonly onProblem?: (message: string) => void
}

/** KV of a sequence's first positions, and where it is: a slot, or packed outside of them. */
interface Found { readonly from: number | Float32Array | CachedPrefix, readonly length: number }

/** A prefix-cache hit must leave two positions of the prompt to run, for the last one's logits in a chunk. */
const minLeft = 2

export class SlotManager<S extends KvSequence> implements KvManager<S> {
  /** Slots there are. */
  readonly count: number
  readonly memory: SlotMemory
  readonly table: SlotTable
  readonly profile: SlotProfile
  readonly bytesPerToken: number
  readonly maxTokens = Infinity
  readonly sharesForks = false
  readonly #prefixCache: PrefixCache
  /** Of every open sequence. */
  readonly #placements = new Map<S, Placement<S>>()
  /** By slot. */
  readonly #owners: Array<Placement<S> | null>
  /** Positions whose memory former owners may leave. */
  readonly #maxResidue: number

  /** @throws RequestError where there is no memory for a slab of slots */
  constructor (
    config: DecoderConfig, profile: SlotProfile,
    { contextLength, maxSequences, kvCacheBytes, prefixCacheBytes, onProblem = () => {} }: SlotOptions
  ) {
    this.profile = profile
    this.bytesPerToken = kvBytesPerToken(config)
    this.#maxResidue = Math.floor(profile.residueShare * kvCacheBytes / this.bytesPerToken)
    this.count = maxSequences
    this.memory = new SlotMemory(config, contextLength, onProblem)
    this.table = new SlotTable(this.count, profile.minReusedShare)
    this.#prefixCache = new PrefixCache(prefixCacheBytes, this.memory.packedDims(blockTokens))
    this.#owners = new Array<Placement<S> | null>(this.count).fill(null)
  }

  get usedTokens (): number {
    const shared = new Set<SharedPrompt>()
    let tokens = 0
    for (const { slot, swapped, prompt, heldTokens } of this.#placements.values()) {
      if (slot >= 0 || swapped) tokens += heldTokens
      if (prompt) shared.add(prompt)
    }
    return [...shared].reduce((sum, { length }) => sum + length, tokens)
  }

  get cachedBytes (): number { return this.#prefixCache.sizeBytes }

  /** Where an open sequence's KV is. */
  placement (sequence: S): Placement<S> { return this.#placements.get(sequence)! }

  /** Where a slot's next position will be written: a padding row writes there, and nothing is lost. */
  nextPosition (slot: number): number { return this.#owners[slot]?.heldTokens ?? this.table.leftLength(slot)! }

  open (sequence: S): void { this.#placements.set(sequence, new Placement(sequence)) }

  /** A fork waits with its parent's slot pinned until it gets its own. */
  fork (parent: S, child: S): void {
    const [from, placement] = [this.placement(parent), new Placement(child)]
    this.#placements.set(child, placement)
    placement.prompt = from.prompt?.hold() ?? null
    placement.swapped = from.swapped
    const source = from.slot >= 0 ? from.slot : from.source
    if (source < 0 || placement.heldTokens === 0) return
    placement.source = source
    this.table.pin(source)
  }

  isResident (sequence: S): boolean { return this.placement(sequence).slot >= 0 }

  allocate (sequence: S, mayPreempt: (resident: S) => boolean): boolean {
    if (!this.#hasFree && !this.#swapOut(mayPreempt)) return false
    const placement = this.placement(sequence)
    const known = this.#known(placement)
    const { slot, length } = this.table.take(placement.held)!
    placement.slot = slot
    this.#owners[slot] = placement
    if (!known) return true
    this.#fill(slot, known, Math.min(length, known.length))
    if (sequence.runs.length === 0) sequence.adopt(known.length)
    this.#dropSource(placement)
    placement.swapped = null
    return true
  }

  /** Whether there is a slot to take that has memory. */
  get #hasFree (): boolean {
    const free = this.table.firstFree(0, this.count)
    return free !== null && this.memory.reserve(free)
  }

  /** Not where one would wait for a pass of its own: in another slab, after another prompt or at another position. */
  canBatch (a: S, b: S): boolean {
    const [one, other] = [this.placement(a), this.placement(b)]
    return one.prompt === other.prompt && (one.prompt === null || one.heldTokens === other.heldTokens) &&
      slabOf(one.slot) === slabOf(other.slot)
  }

  cachePrompt (sequence: S): void {
    const { slot, prompt } = this.placement(sequence)
    if (!sequence.opened || prompt) return
    this.#prefixCache.keep(sequence, sequence.salt, (start, kv) => { this.memory.read(slot, start, kv) })
  }

  /** The prompt moves out of its slot to where candidates share it; the slot goes on with what follows. */
  sharePrompt (sequence: S): void {
    this.cachePrompt(sequence)
    const placement = this.placement(sequence)
    placement.prompt = this.memory.sharedPrompt(placement.slot, sequence.runs.length)
    this.memory.discard(placement.slot)
  }

  /** Brings rows that are to run together into neighbouring slots. */
  compact (rows: ReadonlyArray<Placement<S>>): void {
    const { table, memory, profile } = this
    compact(rows, { table, memory, profile, move: (placement, slot) => { this.#move(placement, slot) } })
  }

  #move (placement: Placement<S>, slot: number): void {
    this.memory.copy(placement.slot, slot, 0, placement.heldTokens)
    this.table.takeSlot(slot)
    this.#vacate(placement, placement.held)
    placement.slot = slot
    this.#owners[slot] = placement
  }

  free (sequence: S): void {
    const placement = this.placement(sequence)
    this.#dropSource(placement)
    const { slot, prompt } = placement
    if (slot >= 0) {
      this.cachePrompt(sequence)
      this.#vacate(placement, placement.held)
      if (this.table.touchedTokens > this.#maxResidue && this.table.pins(slot) === 0) this.#empty(slot)
    }
    this.#placements.delete(sequence)
    prompt?.release()
  }

  #vacate (placement: Placement<S>, residue: History): void {
    this.#owners[placement.slot] = null
    this.table.free(placement.slot, residue)
    placement.slot = -1
  }

  /** What there is of a sequence's KV outside its slot. */
  #known (placement: Placement<S>): Found | null {
    const { swapped, source, sequence, heldTokens: length } = placement
    if (swapped) return { from: swapped, length }
    if (source >= 0) return { from: source, length }
    return sequence.runs.length === 0 ? this.#findPrefix(sequence) : null
  }

  /** Writes positions [start, length) of what is known into a slot. */
  #fill (slot: number, { from, length }: Found, start: number): void {
    if (typeof from === 'number') this.memory.copy(from, slot, start, length)
    else if (from instanceof Float32Array) this.memory.swapIn(slot, from, length)
    else {
      for (const [index, block] of from.blocks.entries()) {
        const first = index * blockTokens
        if (first + blockTokens > start && first < length) {
          this.memory.write(slot, first, block, Math.min(blockTokens, length - first))
        }
      }
    }
  }

  /** Frees a slot by packing what is in it: KV of a sequence that may yield, or what only forks still wait to copy. */
  #swapOut (mayPreempt: (resident: S) => boolean): boolean {
    const slot = this.#owners.findLastIndex((owner, at) =>
      owner ? mayPreempt(owner.sequence) : this.table.pins(at) > 0)
    if (slot < 0) return false
    const owner = this.#owners[slot]
    const forks = this.#forksOf(slot)
    const swapped = this.memory.swapOut(slot, Math.max(owner?.heldTokens ?? 0, ...forks.map(fork => fork.heldTokens)))
    for (const fork of forks) {
      this.#dropSource(fork)
      fork.swapped = swapped
    }
    if (owner) {
      owner.swapped = swapped
      this.#vacate(owner, owner.held)
    }
    this.#empty(slot)
    return true
  }

  /** Sequences that wait for a copy of a slot. */
  #forksOf (slot: number): Array<Placement<S>> {
    return [...this.#placements.values()].filter(({ source }) => source === slot)
  }

  /** Gives a free slot's memory back. */
  #empty (slot: number): void {
    this.table.empty(slot)
    this.memory.discard(slot)
  }

  #dropSource (placement: Placement<S>): void {
    if (placement.source < 0) return
    this.table.unpin(placement.source)
    placement.source = -1
  }

  /** The longest beginning of a prompt that is cached or held by an open sequence of the same salt. */
  #findPrefix (sequence: S): Found | null {
    if (!this.#prefixCache.isOn) return null
    const limit = Math.min(sequence.tokens.length - minLeft, sequence.poolFrom)
    const cached = this.#prefixCache.find(sequence.tokens, sequence.salt)
    let best: Found | null = cached && { from: cached, length: cached.length }
    for (const { slot, prompt, sequence: other } of this.#placements.values()) {
      if (slot < 0 || prompt || other === sequence || other.salt !== sequence.salt) continue
      const length = coveredLength(other, sequence.tokens)
      if (length > (best?.length ?? 0)) best = { from: slot, length }
    }
    return best && limit > 0 ? { from: best.from, length: Math.min(best.length, limit) } : null
  }

  checkIntegrity (): void {
    for (const [slot, owner] of this.#owners.entries()) {
      if ((owner === null) !== (this.table.leftLength(slot) !== null)) {
        throw new Error(`slot ${slot} is ${owner ? 'owned and free' : 'neither owned nor free'}`)
      }
      if (owner && (owner.slot !== slot || this.#placements.get(owner.sequence) !== owner)) {
        throw new Error(`slot ${slot} is owned by a sequence that is closed or elsewhere`)
      }
      const [forks, pins] = [this.#forksOf(slot).length, this.table.pins(slot)]
      if (forks !== pins) throw new Error(`slot ${slot} has ${pins} pins for ${forks} forks`)
    }
    for (const { slot, source, swapped } of this.#placements.values()) {
      if (swapped && (slot >= 0 || source >= 0)) {
        throw new Error('a sequence is swapped out and ' +
          `${slot >= 0 ? `holds slot ${slot}` : `waits for a copy of slot ${source}`}`)
      }
    }
  }

  dispose (): void {
    this.#prefixCache.dispose()
    this.memory.dispose()
  }
}
