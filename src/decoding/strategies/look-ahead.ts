/**
 * Scores prefixes by what they lead to: the reward reads each with some tokens more, drawn greedily on a fork that is
 * thrown away.
 */
import type { Generation } from '../../policies/policy.js'
import type { Candidate } from '../candidate.js'
import type { Decoding } from '../decoding.js'

/** A continuation of a candidate, and how many of its tokens were read for it. */
interface LookAhead { readonly generation: Generation, readonly tokens: number }

/** Greedy, until so many tokens, the answer's end or the deadline. */
async function lookAhead ({ request, budget }: Decoding, candidate: Candidate, tokens: number): Promise<LookAhead> {
  if (candidate.isFinished) return { generation: candidate.generation, tokens: 0 }
  const generation =
    candidate.generation.fork(candidate.random, { ...request.sampling, temperature: 0, topLogprobs: null })
  const { transcript } = generation
  if (budget.isPastDeadline()) transcript.end()
  const extension = generation.extend({ from: candidate.drawn, tokens }, Infinity, request.signal)
  while (!(await extension.next()).done) if (!transcript.isFinished && budget.isPastDeadline()) transcript.end()
  // The token that ended it is not read.
  return { generation, tokens: transcript.drawn - candidate.drawn - (transcript.isFinished ? 1 : 0) }
}

/**
 * Scores candidates, each with a look-ahead if it is not finished.
 * @param tokens of a look-ahead; 0 scores the candidates as they are
 */
export async function scoreAhead (
  decoding: Decoding, candidates: readonly Candidate[], tokens: number
): Promise<void> {
  if (tokens === 0) return decoding.score(candidates)
  const ahead = await Promise.all(candidates.map(candidate => lookAhead(decoding, candidate, tokens)))
  decoding.lookAheadTokens += ahead.reduce((sum, one) => sum + one.tokens, 0)
  await decoding.score(candidates, ahead.map(({ generation }) => generation))
  for (const [index, { generation }] of ahead.entries()) {
    if (generation !== candidates[index]!.generation) generation.close()
  }
}
