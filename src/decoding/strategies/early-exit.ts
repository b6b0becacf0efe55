/**
 * Growing answers of which one with enough reward is wanted, as cheaply as may be: one that can no longer have it is
 * dropped where it is, and the first to have it ends the others. They go on in step, so that which of them is first
 * follows from the request alone.
 */
import type { Candidate, Generation } from '../candidate.js'
import { retire } from '../generation.js'
import { after, growAll } from '../budget-split.js'

/** Tokens between two looks at who has ended. */
const stride = 4

/**
 * Answers of the next round: half of what was drawn in vain, which says that few pass, and `every` at first.
 * @param drawn so far
 */
export function roundSize (every: number, drawn: number): number {
  return Math.max(every, Math.ceil(drawn / 2))
}

/**
 * Grows candidates of one round until one that has ended has the reward, or all have ended. The first candidate of a
 * request is never dropped, so that there is a whole answer to return where none has it.
 * @param least the reward that is enough
 * @param tell called after each token
 * @param finish scores and retires one that has ended; one that the budget ends, too
 * @param dropped told of one that is given up, retired
 */
export async function growEagerly (
  generation: Generation, candidates: readonly Candidate[], least: number, tell: () => void,
  finish: (candidate: Candidate) => Promise<void>, dropped: (candidate: Candidate) => void
): Promise<void> {
  const ceiling = (candidate: Candidate): number =>
    generation.runtime.scorer?.ceiling?.(candidate.certainText) ?? Infinity
  const drop = (candidate: Candidate): void => {
    candidate.prunedAt = candidate.drawn
    retire(candidate)
    dropped(candidate)
  }
  let live = [...candidates]
  while (live.length > 0) {
    const hopeless = new Set<Candidate>()
    await growAll(generation.budget, live, candidate => {
      const isThere = after(stride)
      return () => {
        tell()
        if (candidate.index > 0 && ceiling(candidate) < least) hopeless.add(candidate)
        return isThere() || hopeless.has(candidate)
      }
    })
    for (const candidate of hopeless) drop(candidate)
    const ended = live.filter(candidate => candidate.isFinished && !hopeless.has(candidate))
    await Promise.all(ended.map(finish))
    live = live.filter(candidate => !candidate.isFinished && !hopeless.has(candidate))
    if (ended.some(({ score }) => score !== null && score.value >= least)) {
      for (const candidate of live) drop(candidate)
      return
    }
  }
}
