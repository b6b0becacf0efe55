/**
 * Fairness between streams and searches. A request with a small fan-out is a stream, whose tokens are read as
 * they come; one with a large fan-out is a search, of which no single row is waited for. Beside a stream a search runs
 * a few rows a step, those that waited longest. What a request asked for counts, not what is left of it: the last
 * candidates of a search hold up no other search. Pure.
 */
import type { SchedulingProfile } from '../device-profile.js'

/**
 * The rows to decode now. Of searches beside a stream they are rows of one sub-batch, that of the row that waited
 * longest: a second sub-batch would take as long again as several rows more of the first.
 * @param rows all that wait, those that have waited longest first
 * @param canBatch whether two rows can be in one sub-batch
 * @param isStreamWaiting whether a stream waits for the step in another way
 * @returns rows in their order, and whether a stream waits for the step
 */
export function chooseRows<Row extends { readonly isStream: boolean }> (
  rows: readonly Row[], canBatch: (a: Row, b: Row) => boolean, isStreamWaiting: boolean,
  { searchRowsBesideStreams }: SchedulingProfile
): { rows: readonly Row[], besideStream: boolean } {
  if (!isStreamWaiting && !rows.some(row => row.isStream)) return { rows, besideStream: false }
  const first = rows.find(row => !row.isStream)
  let left = searchRowsBesideStreams
  return { rows: rows.filter(row => row.isStream || (canBatch(row, first!) && left-- > 0)), besideStream: true }
}

/**
 * Prompt tokens for a step in which streams decode. The more prompts wait, the more of a step is theirs: else many
 * would wait for the sake of one.
 * @param prompts that wait to be read
 * @param usual where no stream decodes
 */
export function streamStepBudget (
  rows: number, prompts: number, usual: number,
  { maxStreamStepTokens, streamStepTokensPerPrompt, streamStepTokensPerRow }: SchedulingProfile
): number {
  return Math.min(usual, maxStreamStepTokens,
    Math.max(streamStepTokensPerPrompt * prompts, streamStepTokensPerRow * rows))
}
