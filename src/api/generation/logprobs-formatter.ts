/** Logprobs of tokens as chat completions and responses tell them. */
import type { RatedToken, TokenLogprob } from '../../policies/drawn-token.js'
import type { ChoiceLogprobs, RatedToken as WireToken } from '../chat/chat-types.js'

/** Tokens with their alternatives. */
export function logprobObjects (logprobs: readonly TokenLogprob[]): ChoiceLogprobs['content'] {
  const token = ({ bytes, logprob }: RatedToken): WireToken => ({
    token: Buffer.from(bytes).toString(), logprob, bytes: [...bytes]
  })
  return logprobs.map(one => ({ ...token(one), top_logprobs: one.top.map(token) }))
}
