/**
 * What was run, and how. The bits of a position's keys and values depend on the tokens up to it and on the way each was
 * run, as a decode row or inside a prefill chunk, on a device a short or a long one; so KV may stand in for a
 * computation exactly where both are equal.
 */

/** How a position was run: with others of its sequence, in a prefill chunk. */
export const prefillRun = 0
/** How a position was run: by itself, as a decode row. */
export const decodeRun = 1
/** How a position was run: in one of the short chunks that a device has another attention kernel for. */
export const shortRun = 2

/** From how many new tokens on a chunk is a long one, on a device. */
export const minLongChunk = 32

/** How so many new tokens of a sequence are run on a device. */
export const runOf = (count: number): number => count === 1 ? decodeRun : count < minLongChunk ? shortRun : prefillRun

/** What KV belongs to. */
export interface History {
  /** What the positions follow; null where they begin the sequence. Compared by identity. */
  readonly prefix?: object | null
  readonly tokens: readonly number[]
  /** `prefillRun`, `decodeRun` or `shortRun` per position; as long as the KV that exists. */
  readonly runs: readonly number[]
}

/** Number of leading positions that two histories have in common. */
export function commonLength (a: History, b: History): number {
  if ((a.prefix ?? null) !== (b.prefix ?? null)) return 0
  const limit = Math.min(a.runs.length, b.runs.length)
  let length = 0
  while (length < limit && a.tokens[length] === b.tokens[length] && a.runs[length] === b.runs[length]) length++
  return length
}

/** Number of leading positions of a prompt, to be run in prefill chunks, that a history covers. */
export function coveredLength (history: History, prompt: readonly number[]): number {
  const limit = Math.min(history.runs.length, prompt.length)
  let length = 0
  while (length < limit && history.tokens[length] === prompt[length] && history.runs[length] === prefillRun) length++
  return length
}
