/**
 * Work side by side on a budget of tokens: what is left is split evenly, again and again, until nothing is left or
 * no one needs more. Each share follows from the work alone, never from the order of arrival, so that the same request
 * draws the same tokens beside any others.
 */
import type { StopCondition } from '../policies/stop-condition.js'
import type { Budget } from './budget.js'
import type { Candidate, OnToken } from './candidate.js'

/**
 * Runs all until none is live.
 * @param run works on one with at most so many tokens; leaves it live where these were not enough
 * @param cut ends one that was still live when no token was left, or the time was over
 */
export async function splitBudget<T> (
  budget: Budget, all: readonly T[], isLive: (one: T) => boolean, run: (one: T, max: number) => Promise<void>,
  cut: (one: T) => Promise<void> | void
): Promise<void> {
  for (;;) {
    const live = all.filter(isLive)
    if (live.length === 0) return
    if (budget.isUsedUp()) {
      await Promise.all(live.map(cut))
      return
    }
    const parts = budget.parts(live.length)
    await Promise.all(live.map((one, index) => parts[index]! > 0 ? run(one, parts[index]!) : undefined))
  }
}

/**
 * Grows candidates side by side, each until the stop condition is met or its answer ends; those that the budget does
 * not carry so far end where they are.
 * @param until counted from where each is
 */
export async function growAll (
  budget: Budget, candidates: readonly Candidate[], until: Omit<StopCondition, 'from'>, onToken?: OnToken
): Promise<void> {
  const growing =
    candidates.map(candidate => ({ candidate, until: { ...until, from: candidate.drawn }, isDone: false }))
  await splitBudget(budget, growing, one => !one.isDone && !one.candidate.isFinished, async (one, max) => {
    one.isDone = await one.candidate.grow(one.until, max, onToken)
  }, one => { one.candidate.end() })
}
