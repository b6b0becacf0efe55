/**
 * Scores prefixes by what they lead to: the reward reads each with some tokens more, drawn greedily on a fork that is
 * thrown away.
 */
import { Budget } from '../budget.js'
import type { Candidate, Generation } from '../candidate.js'
import { retire, scoreAll } from '../generation.js'
import { after } from '../budget-split.js'

/**
 * Scores candidates, each with a look-ahead if it is not finished. The tokens of look-aheads are reward tokens; a
 * deadline ends them, too.
 * @param tokens of a look-ahead; 0 scores the candidates as they are
 */
export async function scoreAhead (
  generation: Generation, candidates: readonly Candidate[], tokens: number
): Promise<void> {
  if (tokens === 0) return scoreAll(generation, candidates)
  const { runtime, sampling } = generation
  const greedy: Generation = {
    ...generation,
    sampling: { ...sampling, temperature: 0, topLogprobs: null },
    budget: new Budget({ ...runtime, drawn: { generatedTokens: 0 } }, Infinity),
    rewardTokens: 0
  }
  const ahead = candidates.map(candidate =>
    candidate.isFinished ? candidate : candidate.fork(candidate.index, candidate.path, candidate.random, greedy))
  await Promise.all(ahead.map((one, index) => one === candidates[index] ? undefined : one.grow(after(tokens))))
  for (const [index, one] of ahead.entries()) {
    greedy.rewardTokens += one.sequence.tokens.length - candidates[index]!.sequence.tokens.length
  }
  await scoreAll(greedy, ahead)
  generation.rewardTokens += greedy.rewardTokens
  for (const [index, candidate] of candidates.entries()) {
    const one = ahead[index]!
    candidate.score = one.score
    if (one !== candidate) retire(one)
  }
}
