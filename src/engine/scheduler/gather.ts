/**
 * From rows that run now to parts of runs: those that can run together are brought into neighbouring slots. Knows slots
 * and who sits in them, not what is run.
 */
import type { EngineSequence } from '../engine-sequence.js'
import type { SharedPrompt } from '../kv/slots/kv-cache.js'
import { planParts, type DecodePart } from './plan.js'
import type { Seating } from '../kv/slots/seating.js'

/**
 * Rows that hold all their KV themselves run together; those that share a prompt, with the ones that have as many
 * positions of their own.
 * @param rows seated, each once; their seats may be changed
 */
export function gatherParts (rows: readonly EngineSequence[], seating: Seating, contextLength: number): DecodePart[] {
  const groups = new Map<SharedPrompt | null, Map<number, EngineSequence[]>>()
  for (const row of rows) {
    const lengths = groups.get(row.shared) ?? new Map<number, EngineSequence[]>()
    groups.set(row.shared, lengths)
    const length = row.shared ? row.heldLength : 0
    lengths.set(length, [...lengths.get(length) ?? [], row])
  }
  for (const lengths of groups.values()) for (const group of lengths.values()) seating.gather(group)
  // A slot that is wanted in one part must not be written in another.
  const wanted = new Set(rows.map(row => row.slot))
  return [...groups].flatMap(([shared, lengths]) => [...lengths].flatMap(([length, group]) => {
    const canRide = (slot: number): boolean =>
      !wanted.has(slot) && (shared ? seating.nextPosition(slot) <= length : seating.nextPosition(slot) < contextLength)
    return planParts(group.map(row => row.slot).sort((a, b) => a - b), canRide, shared)
  }))
}
