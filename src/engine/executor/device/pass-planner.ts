/**
 * From what was scheduled to the passes of a device. All of a pass are run by one attention kernel, which is the only
 * thing that a row's bits depend on beside its own sequence: decode rows together, short chunks together, long ones
 * together. Pure.
 */
import { decodeRun, minLongChunk, prefillRun, shortRun } from '../../kv/history.js'
import type { ScheduledBatch } from '../../scheduler/scheduler.js'

/** What the planner looks at. */
export interface PlannedSequence {
  /** How its next tokens are run: see kv/history.ts. */
  readonly nextRun: number
  /** Whether distributions are wanted after every position. */
  readonly wantsEveryPosition: boolean
}

/** The next tokens of one sequence. */
export interface Part<S> { readonly sequence: S, readonly numNewTokens: number }

/** One forward pass. */
export interface PlannedPass<S> {
  readonly run: number
  /** Of different sequences, at least one. */
  readonly parts: ReadonlyArray<Part<S>>
}

/** The most that one pass takes. */
export interface PassLimits { readonly maxTokens: number, readonly maxRows: number }

const rowsOf = <S extends PlannedSequence>({ sequence, numNewTokens }: Part<S>): number =>
  sequence.wantsEveryPosition ? numNewTokens : 1

/** Parts that fit into a pass each. However one is cut, its bits are the same. */
function cutParts<S extends PlannedSequence> (parts: ReadonlyArray<Part<S>>, limits: PassLimits): Array<Part<S>> {
  return parts.flatMap(({ sequence, numNewTokens }) => {
    const { wantsEveryPosition, nextRun } = sequence
    const most = Math.min(limits.maxTokens, wantsEveryPosition ? limits.maxRows : Infinity,
      nextRun === shortRun ? minLongChunk - 1 : Infinity)
    return Array.from({ length: Math.ceil(numNewTokens / most) }, (_, index) =>
      ({ sequence, numNewTokens: Math.min(most, numNewTokens - index * most) }))
  })
}

/** Decode rows first: streams wait for them. */
export function planPasses<S extends PlannedSequence> (
  { decode, prefill }: Pick<ScheduledBatch<S>, 'decode' | 'prefill'>, limits: PassLimits
): Array<PlannedPass<S>> {
  const passes: Array<{ run: number, parts: Array<Part<S>>, tokens: number, rows: number }> = []
  const scheduled = [...decode.map(sequence => ({ sequence, numNewTokens: 1 })), ...prefill]
  for (const run of [decodeRun, shortRun, prefillRun]) {
    for (const part of cutParts(scheduled.filter(({ sequence }) => sequence.nextRun === run), limits)) {
      const [last, rows] = [passes.at(-1), rowsOf(part)]
      if (last?.run === run && last.tokens + part.numNewTokens <= limits.maxTokens &&
          last.rows + rows <= limits.maxRows && !last.parts.some(({ sequence }) => sequence === part.sequence)) {
        last.parts.push(part)
        last.tokens += part.numNewTokens
        last.rows += rows
      } else passes.push({ run, parts: [part], tokens: part.numNewTokens, rows })
    }
  }
  return passes
}
