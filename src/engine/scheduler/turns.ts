/**
 * Who runs in a step, where not all should. A request with a small fan-out is a stream, whose tokens somebody reads as
 * they come; one with a large one is a search, whose rows one by one nobody waits for. Beside a stream a search runs a
 * few rows a step, those that waited longest. Pure.
 */

/**
 * A request with at most this fan-out is a stream. What it asked for counts, not what is left of it: the last
 * candidates of a search hold up no other search.
 */
const mostStreamRows = 4
/**
 * Rows of searches in a step that a stream waits for: measured as the most that keep its gaps near 2.5 times those it
 * has alone.
 */
const rowsBesideStreams = 12
/** Prompt tokens in such a step for each prompt that is being read: about as long as those rows. */
const chunkTokensBesideStreams = 16
/** Prompt tokens per row of it: a step of many rows is long already. */
const chunkTokensPerRow = 2
/**
 * Prompt tokens in such a step, at most, whoever waits: larger chunks are hardly read faster, and streams would feel
 * them.
 */
const mostChunkTokensBesideStreams = 128

/** Whether a request of this fan-out is a stream. */
export const isStream = (fanOut: number): boolean => fanOut <= mostStreamRows

/** A row as turns are taken. */
export interface TurnRow {
  readonly isStream: boolean
  /** Whether it can be in the same part of a run as another row. */
  joins (other: this): boolean
}

/**
 * The rows to run now. Of searches beside a stream they are rows of one part, that of the row that waited longest: a
 * second part would take as long again as several rows more of the first.
 * @param rows all that wait, those that have waited longest first
 * @param streamProbes whether a stream waits for probes
 * @returns rows in their order, and whether a stream waits for the step
 */
export function takeTurns<Row extends TurnRow> (
  rows: readonly Row[], streamProbes = false
): { rows: readonly Row[], beside: boolean } {
  if (!streamProbes && !rows.some(row => row.isStream)) return { rows, beside: false }
  const first = rows.find(row => !row.isStream)
  let left = rowsBesideStreams
  return { rows: rows.filter(row => row.isStream || (row.joins(first!) && left-- > 0)), beside: true }
}

/**
 * Prompt tokens for a step in which streams decode, 128 at most. The more prompts wait, the more of a step is theirs:
 * else many would wait for the sake of one.
 * @param prompts that wait to be read
 * @param usual where no stream decodes
 */
export function chunkBudget (rows: number, prompts: number, usual: number): number {
  return Math.min(usual, mostChunkTokensBesideStreams,
    Math.max(chunkTokensBesideStreams * prompts, chunkTokensPerRow * rows))
}
