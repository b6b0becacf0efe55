/**
 * Brings sequences that run together into neighbouring slots, as far as there are free ones and copies are short: rows
 * of neighbouring slots are one batch. Decides who moves; the slot manager moves.
 */
import type { SlotProfile } from '../../device-profile.js'
import type { KvSequence } from '../kv-manager.js'
import type { Placement } from './placement.js'
import { slotsPerSlab, type SlotMemory } from './slot-memory.js'
import type { SlotTable } from './slot-table.js'

/** What compaction needs of the slot manager. */
export interface MovableSlots<S extends KvSequence> {
  readonly table: SlotTable
  readonly memory: Pick<SlotMemory, 'reserve'>
  readonly profile: SlotProfile
  /** Moves a sequence to a free slot. */
  move (placement: Placement<S>, slot: number): void
}

/** @param rows in slots, each once */
export function compact<S extends KvSequence> (rows: ReadonlyArray<Placement<S>>, slots: MovableSlots<S>): void {
  const bySlot = [...rows].sort((a, b) => a.slot - b.slot)
  for (let first = 0; first < bySlot.length; first += slotsPerSlab) {
    const group = bySlot.slice(first, first + slotsPerSlab)
    if (!moveTogether(group, slots)) closeGaps(group, slots)
  }
}

/** Moves all into the window of slots where most of them are. @returns whether they are neighbours now */
function moveTogether<S extends KvSequence> (
  group: ReadonlyArray<Placement<S>>, { table, memory, profile, move }: MovableSlots<S>
): boolean {
  const start = table.window(group.length, slotsPerSlab, new Set(group.map(({ slot }) => slot)))
  if (start === null || !memory.reserve(start)) return false
  const end = start + group.length
  const movers = group.filter(({ slot }) => slot < start || slot >= end)
  const tokens = movers.reduce((sum, { heldTokens }) => sum + heldTokens, 0)
  if ((movers.length > profile.maxMoves && tokens > profile.maxMovedTokens) ||
      movers.some(({ slot }) => table.pins(slot) > 0)) return false
  for (const mover of movers) move(mover, table.firstFree(start, end)!)
  return true
}

/** While there are free slots between theirs, the last one moves there. */
function closeGaps<S extends KvSequence> (
  bySlot: ReadonlyArray<Placement<S>>, { table, profile, move }: MovableSlots<S>
): void {
  for (const last of bySlot.slice(1).slice(-profile.maxMoves).reverse()) {
    const gap = table.firstFree(bySlot[0]!.slot, last.slot)
    if (gap === null || table.pins(last.slot) > 0) return
    move(last, gap)
  }
}
