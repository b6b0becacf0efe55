/**
 * The plan of a step: which rows run together. Pure. A step is a list of runs: decode batches over parts of contiguous
 * slots, then prompt chunks. Knows slots and counts, no tokens.
 */
import { chunksShape, privateShape, type RunShape } from '../../models/graph/run-shape.js'
import { slabOf, slotsPerSlab, type SharedPrompt } from '../kv/slots/kv-cache.js'

/** Rows of a decode run in neighbouring slots. */
export interface DecodePart {
  /**
   * The prompt that all wanted rows share, with as many positions of their own each; null where they hold all their KV
   * themselves.
   */
  readonly shared: SharedPrompt | null
  /** First slot. */
  readonly slot: number
  /**
   * Slots in the part, those between the wanted ones included: they ride along and write where they will write again.
   */
  readonly count: number
  /** Offsets in the part of the rows wanted, ascending. */
  readonly rows: readonly number[]
}
/** Rows of one waiting token each, run together. */
export interface DecodeRun {
  readonly kind: 'decode'
  /** One or more; at most one is private, and it comes first. */
  readonly parts: readonly DecodePart[]
}
/** Waiting tokens of one sequence that are run together. */
export interface Chunk {
  readonly slot: number
  /** Positions to run, ≥ 2. */
  readonly count: number
}
/** Chunks that are run together. */
export interface ChunkRun {
  readonly kind: 'chunk'
  /** One or more, of different sequences. */
  readonly chunks: readonly Chunk[]
}
/** One pass through the model. */
export type Run = DecodeRun | ChunkRun

/** The shape of a run. A single chunk is a private part. */
export function runShape (run: Run): RunShape {
  if (run.kind === 'chunk') return run.chunks.length === 1 ? privateShape : chunksShape(run.chunks.length)
  const shared = run.parts.filter(part => part.shared !== null).length
  return { private: run.parts.length - shared, shared }
}

/** Shared parts of one run, at most: more gain little, and each number is a graph to compile. */
export const mostSharedParts = 4
/** Rows of one decode run, at most. */
export const mostRowsPerRun = (1 + mostSharedParts) * slotsPerSlab

/** Positions of a run of probes, at most. */
export const mostProbed = 32

/** Starting a run costs about as much as this many rows, measured at B = 1 to 32. */
const runCostInRows = 4

/**
 * Parts of decode rows. Two rows share a part if the slots between them, all able to ride along, are fewer than a run
 * is worth.
 * @param slots wanted, ascending
 * @param canRide whether a slot that is not wanted may be in a part
 */
export function planParts (
  slots: readonly number[], canRide: (slot: number) => boolean, shared: SharedPrompt | null = null
): DecodePart[] {
  const parts: DecodePart[] = []
  let start = 0
  for (let i = 1; i <= slots.length; i++) {
    const [previous, next] = [slots[i - 1]!, slots[i]]
    if (next !== undefined && joins(previous, next, canRide)) continue
    const slot = slots[start]!
    parts.push({ shared, slot, count: previous - slot + 1, rows: slots.slice(start, i).map(one => one - slot) })
    start = i
  }
  return parts
}

function joins (previous: number, next: number, canRide: (slot: number) => boolean): boolean {
  if (slabOf(previous) !== slabOf(next)) return false
  if (next - previous - 1 > runCostInRows) return false
  for (let slot = previous + 1; slot < next; slot++) if (!canRide(slot)) return false
  return true
}

/**
 * Which of the parts that are left run next, as many as there is a graph for: everything but attention is then computed
 * for all their rows at once, with the bits that each part alone would have.
 * @param parts at least one
 * @param isReady whether a run of several parts, of a shape, can be run now
 */
export function nextRun (parts: readonly DecodePart[], isReady: (shape: RunShape) => boolean): DecodeRun {
  const alone = parts.filter(part => part.shared === null).slice(0, 1)
  const shared = parts.filter(part => part.shared !== null).slice(0, mostSharedParts)
  while (alone.length + shared.length > 1 && !isReady({ private: alone.length, shared: shared.length })) shared.pop()
  return { kind: 'decode', parts: [...alone, ...shared] }
}

/**
 * Flash attention takes the positions of a chunk in blocks, of twice the head size: a multiple of this. A position
 * alone in the last block would be multiplied by another kernel than one beside others, and have other bits. It is
 * switched off (`runtime/library.ts`), but the self-test sees that of decoding only.
 */
const attentionBlock = 32

/**
 * Positions of a chunk: as many as the budget allows where none is alone in its block and none is left behind alone.
 */
function chunkSize (count: number, budget: number): number {
  for (let size = Math.min(count, budget); size >= 2; size--) {
    if (size % attentionBlock !== 1 && count - size !== 1) return size
  }
  return count
}

/**
 * Prompt chunks within a budget of tokens, oldest first. However a prompt is cut into them, its bits are the same.
 * @param waiting per sequence its slot and the positions it waits for, ≥ 2, oldest first
 */
export function planChunks (waiting: readonly Chunk[], budget: number): Chunk[] {
  const chunks: Chunk[] = []
  let left = budget
  for (const { slot, count } of waiting) {
    if (left < 2) break
    const size = chunkSize(count, left)
    chunks.push({ slot, count: size })
    left -= size
  }
  return chunks
}

/** Chunks of one run: each number is a graph to compile. */
const chunksPerRun = [8, 4, 2] as const
/** A chunk of more positions is as fast alone. */
const mostTogether = 64

/**
 * Which of the chunks that are left run next: short ones together, where there is a graph for them, with the bits that
 * each alone would have.
 * @param chunks at least one
 * @param isReady whether a run of several chunks, of a shape, can be run now
 */
export function nextChunks (chunks: readonly Chunk[], isReady: (shape: RunShape) => boolean): ChunkRun {
  const short = chunks.filter(({ count }) => count <= mostTogether)
  const size = chunksPerRun.find(size => short.length >= size && isReady(chunksShape(size)))
  return { kind: 'chunk', chunks: size === undefined ? chunks.slice(0, 1) : short.slice(0, size) }
}
