/**
 * The plan of a step: which rows run together. Pure. A step is a list of runs: decode batches over contiguous slots, then prompt
 * chunks. Knows slots and counts, no tokens.
 */
import { slotsPerSlab, type KvSnapshot } from './kv-cache.js'

export interface DecodeRun {
  readonly kind: 'decode'
  /** The prompt that all wanted rows share, with as many positions of their own each; null where they hold all their KV themselves. */
  readonly shared: KvSnapshot | null
  /** First slot. */
  readonly slot: number
  /** Slots in the batch, those between the wanted ones included: they ride along and write where they will write again. */
  readonly count: number
  /** Offsets in the batch of the rows wanted, ascending. */
  readonly rows: readonly number[]
}
export interface ChunkRun {
  readonly kind: 'chunk'
  readonly slot: number
  /** Positions to run, ≥ 2. */
  readonly count: number
}
export type Run = DecodeRun | ChunkRun

/** Starting a run costs about as much as this many rows, measured at B = 1 to 32. */
const runCostInRows = 4

/**
 * Batches of decode rows. Two rows share a run if the slots between them, all able to ride along, are fewer than a run is worth.
 * @param slots wanted, ascending
 * @param canRide whether a slot that is not wanted may be in a batch
 */
export function planDecode (slots: readonly number[], canRide: (slot: number) => boolean, shared: KvSnapshot | null = null): DecodeRun[] {
  const runs: DecodeRun[] = []
  let start = 0
  for (let i = 1; i <= slots.length; i++) {
    const [previous, next] = [slots[i - 1]!, slots[i]]
    if (next !== undefined && joins(previous, next, canRide)) continue
    const slot = slots[start]!
    runs.push({ kind: 'decode', shared, slot, count: previous - slot + 1, rows: slots.slice(start, i).map(one => one - slot) })
    start = i
  }
  return runs
}

function joins (previous: number, next: number, canRide: (slot: number) => boolean): boolean {
  if (Math.floor(previous / slotsPerSlab) !== Math.floor(next / slotsPerSlab)) return false
  if (next - previous - 1 > runCostInRows) return false
  for (let slot = previous + 1; slot < next; slot++) if (!canRide(slot)) return false
  return true
}

/**
 * Prompt chunks within a budget of tokens, oldest first. A chunk has at least two positions and never leaves one behind: a position
 * run alone would have other bits.
 * @param waiting per sequence its slot and the positions it waits for, ≥ 2, oldest first
 */
export function planChunks (waiting: ReadonlyArray<{ readonly slot: number, readonly count: number }>, budget: number): ChunkRun[] {
  const runs: ChunkRun[] = []
  let left = budget
  for (const { slot, count } of waiting) {
    if (left < 2) break
    let take = Math.min(count, left)
    if (count - take === 1) take = take > 2 ? take - 1 : count
    runs.push({ kind: 'chunk', slot, count: take })
    left -= take
  }
  return runs
}
