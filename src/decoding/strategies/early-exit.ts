/**
 * Growing answers of which one with enough reward is wanted, as cheaply as may be: one that can no longer have it is
 * dropped where it is, and the first to have it ends the others. They go on in step, so that which of them is first
 * follows from the request alone.
 */
import { growAll } from '../budget-split.js'
import type { Candidate, OnToken } from '../candidate.js'
import type { Decoding } from '../decoding.js'

/** Tokens between two checks for ended candidates. */
const stride = 4

/**
 * Answers of the next round: half of what was drawn in vain, which says that few pass, and `every` at first.
 * @param drawn so far
 */
export function roundSize (every: number, drawn: number): number {
  return Math.max(every, Math.ceil(drawn / 2))
}

/** What early exits do with candidates. */
interface EarlyExit {
  /** The reward that is enough. */
  readonly minReward: number
  readonly onToken: OnToken
  /** Scores and closes one that has ended; one that the budget ends, too. */
  readonly finish: (candidate: Candidate) => Promise<void>
  /** Reports one that is given up, closed. */
  readonly report: (candidate: Candidate) => void
}

/**
 * Grows candidates of one round until one that has ended has the reward, or all have ended. The first candidate of a
 * request is never dropped, so that there is a whole answer to return where none has it.
 */
export async function growWithEarlyExit (
  { request: { scorer }, budget }: Decoding, candidates: readonly Candidate[],
  { minReward, onToken, finish, report }: EarlyExit
): Promise<void> {
  const isHopeless = (candidate: Candidate): boolean =>
    candidate.index > 0 && (scorer?.ceiling?.(candidate.certainText) ?? Infinity) < minReward
  const drop = (candidate: Candidate): void => {
    candidate.prunedAt = candidate.drawn
    candidate.close()
    report(candidate)
  }
  for (let live = [...candidates]; live.length > 0;) {
    const hopeless = new Set<Candidate>()
    await growAll(budget, live, { tokens: stride }, candidate => {
      onToken(candidate)
      if (isHopeless(candidate)) hopeless.add(candidate)
      return hopeless.has(candidate)
    })
    hopeless.forEach(drop)
    const ended = live.filter(candidate => candidate.isFinished && !hopeless.has(candidate))
    await Promise.all(ended.map(finish))
    live = live.filter(candidate => !candidate.isFinished && !hopeless.has(candidate))
    if (ended.some(({ score }) => score !== null && score.value >= minReward)) {
      live.forEach(drop)
      return
    }
  }
}
