/**
 * Values tokens by a reward of prefixes: the reward reads the answer with each candidate token. A reward that looks at
 * hidden states has them probed, all tokens in one pass that goes no further than its layers; the token drawn is then
 * read as any other.
 */
import type { Score } from '../../rewards/scorer.js'
import type { Candidate } from '../candidate.js'
import type { Decoding } from '../decoding.js'
import type { TokenValues } from './token-values.js'

/** Values of one candidate's next tokens. */
export function prefixValues ({ request: { scorer, prompt } }: Decoding, candidate: Candidate): TokenValues {
  const tokens = candidate.generation.tokenwise!
  let scores = new Map<number, Score>()
  return {
    async of (candidates) {
      const answers = await Promise.all(candidates.map(({ token }) => tokens.extended(token)))
      const values = await scorer!.score(prompt, answers)
      scores = new Map(candidates.map(({ token }, index) => [token, values[index]!]))
      return values.map(score => score.value)
    },
    async accept (token) {
      // Of the prefix with the token; null for one that was not looked at.
      candidate.score = scores.get(token) ?? null
      if (tokens.accept(token)) await tokens.read()
    },
    close () {}
  }
}
