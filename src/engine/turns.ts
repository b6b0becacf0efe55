/**
 * Who runs in a step, where not all can. A request with few waiting rows is somebody who reads along; one with many is a search, whose rows one by
 * one nobody waits for. Beside the first the second runs a few rows a step, those that waited longest, so that a stream's tokens keep coming. Pure.
 */

/** A request with at most this many waiting rows is not held back. */
const fewRows = 4
/** Rows of searches in a step that a stream waits for: measured as the most that keep its gaps below 2.5 times those it has alone. */
const rowsBesideFew = 8
/** Prompt tokens in such a step, at least: about as long as those rows. */
const chunkTokensBesideFew = 32
/** Prompt tokens per row of it: a step of many rows is long already. */
const chunkTokensPerRow = 2

/** Tells for each of some rows that wait whether its request has few of them. @param requestOf what a row belongs to */
export function fewRowed<Row> (rows: Iterable<Row>, requestOf: (row: Row) => unknown): (row: Row) => boolean {
  const counts = new Map<unknown, number>()
  for (const row of rows) counts.set(requestOf(row), (counts.get(requestOf(row)) ?? 0) + 1)
  return row => (counts.get(requestOf(row)) ?? 0) <= fewRows
}

/**
 * The rows to run now.
 * @param rows all that wait, those that have waited longest first
 * @returns rows in their order, and whether one whose request has few is among them
 */
export function takeTurns<Row> (rows: readonly Row[], isFew: (row: Row) => boolean): { rows: readonly Row[], beside: boolean } {
  const beside = rows.some(isFew)
  let left = beside ? rowsBesideFew : Infinity
  return { rows: rows.filter(row => isFew(row) || left-- > 0), beside }
}

/** Prompt tokens for a step in which somebody with few rows decodes. @param usual where nobody does */
export function chunkBudget (rows: number, usual: number): number {
  return Math.min(usual, Math.max(chunkTokensBesideFew, chunkTokensPerRow * rows))
}
