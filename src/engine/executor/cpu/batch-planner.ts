/**
 * From what was scheduled to forward passes: sub-batches of rows in neighbouring slots, and which of them run together.
 * Padding rows fill small gaps between slots.
 */
import { chunksShape, privateShape, type RunShape } from '../../../models/graph/run-shape.js'
import type { PassProfile } from '../../device-profile.js'
import type { KvSequence } from '../../kv/kv-manager.js'
import type { Placement } from '../../kv/slots/placement.js'
import type { SharedPrompt } from '../../kv/slots/shared-prompt.js'
import type { SlotManager } from '../../kv/slots/slot-manager.js'
import { slabOf } from '../../kv/slots/slot-memory.js'
import type { PrefillChunk } from '../../scheduler/prefill-chunks.js'

/** Rows in neighbouring slots: decode rows, or one sequence's prefill chunk. */
export interface SubBatch<S extends KvSequence> {
  /**
   * The prompt that all rows share, with as many positions of their own each; null where their slots hold all their KV.
   */
  readonly prompt: SharedPrompt | null
  /** First slot. */
  readonly slot: number
  /** Slots, padding rows included: those write where their slot will be written again. */
  readonly count: number
  /** Sequences whose outputs are wanted, by ascending slot. */
  readonly rows: ReadonlyArray<Placement<S>>
  /** New tokens of each row: 1 to decode, more for a chunk. */
  readonly numNewTokens: number
}

/** One pass through the model. */
export interface Pass<S extends KvSequence> {
  readonly isPrefill: boolean
  /** One or more; of those to decode at most one has no shared prompt, and it comes first. */
  readonly subBatches: ReadonlyArray<SubBatch<S>>
}

/** The shape of the graph that a pass runs. */
export function passShape<S extends KvSequence> ({ isPrefill, subBatches }: Pass<S>): RunShape {
  if (isPrefill) return subBatches.length === 1 ? privateShape : chunksShape(subBatches.length)
  const shared = subBatches.filter(({ prompt }) => prompt !== null).length
  return { private: subBatches.length - shared, shared }
}

/**
 * Sub-batches of decode rows: rows whose slots hold all their KV are together, those that share a prompt with the ones
 * that have as many positions of their own. Rows that are together are brought into neighbouring slots.
 * @param contextLength positions of a slot
 */
export function decodeSubBatches<S extends KvSequence> (
  rows: readonly S[], slots: Pick<SlotManager<S>, 'placement' | 'compact' | 'nextPosition'>, contextLength: number,
  passCostInRows: number
): Array<SubBatch<S>> {
  const groups = new Map<SharedPrompt | null, Map<number, Array<Placement<S>>>>()
  const placements = rows.map(row => slots.placement(row))
  for (const placement of placements) {
    const { prompt, heldTokens } = placement
    const lengths = groups.get(prompt) ?? new Map<number, Array<Placement<S>>>()
    groups.set(prompt, lengths)
    const length = prompt ? heldTokens : 0
    const group = lengths.get(length)
    if (group) group.push(placement)
    else lengths.set(length, [placement])
  }
  for (const lengths of groups.values()) for (const group of lengths.values()) slots.compact(group)
  // A slot that is wanted in one sub-batch must not be written in another.
  const wanted = new Set(placements.map(({ slot }) => slot))
  return [...groups].flatMap(([prompt, lengths]) => [...lengths].flatMap(([length, group]) => {
    const canPad = (slot: number): boolean =>
      !wanted.has(slot) && (prompt ? slots.nextPosition(slot) <= length : slots.nextPosition(slot) < contextLength)
    return cutSubBatches(group.sort((a, b) => a.slot - b.slot), canPad, passCostInRows)
  }))
}

/**
 * Cuts rows into sub-batches: two are in one if the slots between them, all able to be padding, are fewer than a pass
 * is worth.
 * @param rows by ascending slot, of one prompt or none
 * @param canPad whether a slot that is not wanted may be in a sub-batch
 */
export function cutSubBatches<S extends KvSequence> (
  rows: ReadonlyArray<Placement<S>>, canPad: (slot: number) => boolean, passCostInRows: number
): Array<SubBatch<S>> {
  const isTogether = (previous: number, next: number): boolean => {
    if (slabOf(previous) !== slabOf(next) || next - previous - 1 > passCostInRows) return false
    for (let slot = previous + 1; slot < next; slot++) if (!canPad(slot)) return false
    return true
  }
  const subBatches: Array<SubBatch<S>> = []
  let start = 0
  for (let i = 1; i <= rows.length; i++) {
    const [first, last, next] = [rows[start]!, rows[i - 1]!, rows[i]]
    if (next && isTogether(last.slot, next.slot)) continue
    const count = last.slot - first.slot + 1
    subBatches.push({ prompt: first.prompt, slot: first.slot, count, rows: rows.slice(start, i), numNewTokens: 1 })
    start = i
  }
  return subBatches
}

/** A sub-batch for each chunk. */
export function prefillSubBatches<S extends KvSequence> (
  chunks: ReadonlyArray<PrefillChunk<S>>, slots: Pick<SlotManager<S>, 'placement'>
): Array<SubBatch<S>> {
  return chunks.map(({ sequence, numNewTokens }) => {
    const placement = slots.placement(sequence)
    return { prompt: null, slot: placement.slot, count: 1, rows: [placement], numNewTokens }
  })
}

/**
 * Which sub-batches decode next, as many as there is a graph for: everything but attention is then computed for all
 * their rows at once, with the bits that each sub-batch alone would have.
 * @param left at least one
 * @param isReady whether a pass of several sub-batches, of a shape, can be run now
 */
export function nextDecodePass<S extends KvSequence> (
  left: ReadonlyArray<SubBatch<S>>, isReady: (shape: RunShape) => boolean, { maxSharedSubBatches }: PassProfile
): Pass<S> {
  const alone = left.filter(({ prompt }) => prompt === null).slice(0, 1)
  const shared = left.filter(({ prompt }) => prompt !== null).slice(0, maxSharedSubBatches)
  while (alone.length + shared.length > 1 && !isReady({ private: alone.length, shared: shared.length })) shared.pop()
  return { isPrefill: false, subBatches: [...alone, ...shared] }
}

/**
 * Which chunks run next: short ones together, where there is a graph for them, with the bits that each alone would
 * have.
 * @param left and `isReady` as of `nextDecodePass`
 */
export function nextPrefillPass<S extends KvSequence> (
  left: ReadonlyArray<SubBatch<S>>, isReady: (shape: RunShape) => boolean,
  { joinedChunks, maxJoinedChunkTokens }: PassProfile
): Pass<S> {
  const short = left.filter(({ numNewTokens }) => numNewTokens <= maxJoinedChunkTokens)
  const size = joinedChunks.find(size => short.length >= size && isReady(chunksShape(size)))
  return { isPrefill: true, subBatches: size === undefined ? left.slice(0, 1) : short.slice(0, size) }
}
