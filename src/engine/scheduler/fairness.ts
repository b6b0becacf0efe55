/**
 * Fairness in a step, between streams and searches and between callers. A request with a small fan-out is a stream,
 * whose tokens are read as they come; one with a large fan-out is a search, of which no single row is waited for. So is
 * what a caller runs beside another's stream when it has more streams than a search would get rows. Beside a stream a
 * search runs a few rows a step, callers in turn. What a request asked for counts, not what is left of it: the last
 * candidates of a search hold up no other search. Pure.
 */
import type { SchedulingProfile } from '../device-profile.js'

/** What is scheduled, as far as fairness looks at it. */
export interface Owned {
  /** Whose it is: see SequenceOptions. */
  readonly caller: string
}

interface Row extends Owned { readonly isStream: boolean }

/** How many items each caller has. */
export function countByCaller (items: Iterable<Owned>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { caller } of items) counts.set(caller, (counts.get(caller) ?? 0) + 1)
  return counts
}

/** Items with callers in turn: of each the first, then of each the second, and so on. */
function inTurns<T extends Owned> (items: readonly T[]): T[] {
  const seen = new Map<string, number>()
  const ranked = items.map(item => {
    const rank = seen.get(item.caller) ?? 0
    seen.set(item.caller, rank + 1)
    return { item, rank }
  })
  return ranked.sort((a, b) => a.rank - b.rank).map(({ item }) => item)
}

/**
 * Rows of streams that the step is for: all, unless one caller has few of them; then only those of such callers.
 * @param rows that decode or are probed
 */
function streamsOf<R extends Row> (rows: readonly R[], few: number): R[] {
  const streams = rows.filter(row => row.isStream)
  const counts = countByCaller(streams)
  const ofFew = streams.filter(({ caller }) => counts.get(caller)! <= few)
  return ofFew.length > 0 ? ofFew : streams
}

/**
 * The rows to decode now. Of searches beside a stream they are rows of one sub-batch, that of the row that waited
 * longest: a second sub-batch would take as long again as several rows more of the first.
 * @param rows all that wait, those that have waited longest first
 * @param probed what else waits for the step
 * @param canBatch whether two rows can be in one sub-batch
 * @returns rows in their order, and the callers whose streams wait for the step
 */
export function chooseRows<R extends Row> (
  rows: readonly R[], probed: readonly R[], canBatch: (a: R, b: R) => boolean,
  { searchRowsBesideStreams: few }: SchedulingProfile
): { rows: readonly R[], streamCallers: ReadonlySet<string> } {
  const streams = new Set(streamsOf([...rows, ...probed], few))
  const streamCallers = new Set([...streams].map(({ caller }) => caller))
  if (streams.size === 0) return { rows, streamCallers }
  const searches = inTurns(rows.filter(row => !streams.has(row)))
  const chosen = new Set(searches.filter(row => canBatch(row, searches[0]!)).slice(0, few))
  return { rows: rows.filter(row => streams.has(row) || chosen.has(row)), streamCallers }
}

/**
 * Prompts that a step of streams makes room for: each of a stream's own caller, since else many would wait for the sake
 * of one; of other callers one each, however many they have.
 * @param prompts that wait to be read
 */
export function promptsBeside (streamCallers: ReadonlySet<string>, prompts: readonly Owned[]): number {
  const counts = countByCaller(prompts)
  return Math.min(...[...streamCallers].map(caller => {
    const own = counts.get(caller) ?? 0
    return own + counts.size - (own > 0 ? 1 : 0)
  }))
}

/**
 * Prompt tokens for a step in which streams decode. The more prompts wait, the more of a step is theirs.
 * @param prompts that it makes room for
 * @param usual where no stream decodes
 */
export function streamStepBudget (
  rows: number, prompts: number, usual: number,
  { maxStreamStepTokens, streamStepTokensPerPrompt, streamStepTokensPerRow }: SchedulingProfile
): number {
  return Math.min(usual, maxStreamStepTokens,
    Math.max(streamStepTokensPerPrompt * prompts, streamStepTokensPerRow * rows))
}
