/**
 * Work side by side on a budget of tokens: what is left is shared out evenly, again and again, until nothing is left or
 * nobody wants more. Who gets what follows from the work alone, never from who comes first, so that the same request
 * draws the same tokens beside any others.
 */
import type { Budget } from './budget.js'
import type { Candidate } from './candidate.js'

/**
 * Runs everyone until nobody is live.
 * @param run works on one with at most so many tokens; leaves it live where these were not enough
 * @param cut ends one that was still live when no token was left, or the time was over
 */
export async function shareOut<T> (
  budget: Budget, all: readonly T[], isLive: (one: T) => boolean, run: (one: T, most: number) => Promise<void>,
  cut: (one: T) => Promise<void> | void
): Promise<void> {
  for (;;) {
    const live = all.filter(isLive)
    if (live.length === 0) return
    if (budget.isSpent()) {
      await Promise.all(live.map(cut))
      return
    }
    const shares = budget.shares(live.length)
    await Promise.all(live.map((one, index) => shares[index]! > 0 ? run(one, shares[index]!) : undefined))
  }
}

/** Done after so many tokens. */
export function after (tokens: number): () => boolean {
  let drawn = 0
  return () => ++drawn >= tokens
}

/**
 * Grows candidates side by side, each until it is done or its answer ends; those that the budget does not carry so far
 * end where they are.
 * @param until makes, for each candidate, what is asked after each of its tokens whether it is done
 */
export async function growAll (
  budget: Budget, candidates: readonly Candidate[], until: (candidate: Candidate) => () => boolean
): Promise<void> {
  const growing = candidates.map(candidate => ({ candidate, isDone: until(candidate), done: false }))
  await shareOut(budget, growing, one => !one.done && !one.candidate.isFinished, async (one, most) => {
    one.done = await one.candidate.grow(one.isDone, most)
  }, one => { one.candidate.end() })
}
