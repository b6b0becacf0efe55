/**
 * Values tokens by a reward's next-token member, which says without a pass what the answer would score with each.
 * Ending the answer is worth what it scores as it stands. After each token the reward reads the answer, which costs no
 * pass either.
 */
import type { Candidate } from '../candidate.js'
import type { Decoding } from '../decoding.js'
import type { TokenValues } from './token-values.js'

/** Values of one candidate's next tokens. */
export function nextTokenValues (decoding: Decoding, candidate: Candidate): TokenValues {
  const { generation } = candidate
  const tokens = generation.tokenwise!
  return {
    async of (candidates) {
      if (!candidate.score) await decoding.rate([candidate])
      const ending = candidate.score!.value
      const going = candidates.map(({ token }) => token).filter(token => !tokens.isEnd(token))
      const scores = decoding.request.scorer!.scoreNext(await generation.answer(), going)
      const values = new Map(going.map((token, index) => [token, scores[index]!]))
      return candidates.map(({ token }) => values.get(token) ?? ending)
    },
    async accept (token) {
      if (!tokens.accept(token)) return
      await tokens.read()
      await decoding.rate([candidate])
    },
    close () {}
  }
}
