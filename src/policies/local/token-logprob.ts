/** Logprobs of drawn tokens, from the model's own distribution. */
import type { Distribution } from '../../engine/sequence.js'
import { logitOf } from '../logit-of.js'
import type { RatedToken, TokenLogprob } from '../drawn-token.js'

/**
 * A token's raw logprob with the most probable alternatives.
 * @param tokenBytes the UTF-8 bytes a token stands for
 * @param count of alternatives, 0–20
 */
export function tokenLogprob (
  tokenBytes: (token: number) => Uint8Array, distribution: Distribution, token: number, count: number
): TokenLogprob {
  const { logNormalizer, topIds, topLogits } = distribution
  const rated = (one: number, logit: number): RatedToken => ({
    token: one, bytes: [...tokenBytes(one)], logprob: logit - logNormalizer
  })
  const top = Array.from({ length: Math.min(count, topIds.length) }, (_, rank) =>
    rated(topIds[rank]!, topLogits[rank]!))
  return { ...rated(token, logitOf(distribution, token)), top }
}
