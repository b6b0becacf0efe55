/**
 * Logprobs in the shape of OpenAI's legacy completions: parallel lists of tokens, logprobs, alternatives and where each
 * token begins in the text.
 */
import { codePoints } from '../../code-points.js'
import { pieceText } from '../../models/tokenizer/detokenizer.js'
import type { RatedToken, TokenLogprob } from '../../policies/drawn-token.js'
import type { PromptLogprobs } from '../../serving/protocol.js'
import type { LegacyLogprobs } from './completion-types.js'

const nameOf = (bytes: readonly number[]): string => pieceText(Uint8Array.from(bytes))

/** The alternatives, most probable first, and the token itself, which need not be among them. */
function alternatives (token: TokenLogprob): Record<string, number> {
  return Object.fromEntries([...token.top, token].map(({ bytes, logprob }: RatedToken) => [nameOf(bytes), logprob]))
}

/** Follows one choice's text as its tokens come. */
export class LegacyLogprobsWriter {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #offset: number

  /** @param offset where the first token begins, code points of the choice's text */
  constructor (offset: number) { this.#offset = offset }

  next (tokens: PromptLogprobs): LegacyLogprobs {
    return {
      tokens: tokens.map(({ bytes }) => nameOf(bytes)),
      token_logprobs: tokens.map(({ logprob }) => logprob),
      top_logprobs: tokens.map(token => token.logprob === null ? null : alternatives(token)),
      text_offset: tokens.map(({ bytes }) => {
        const offset = this.#offset
        this.#offset += codePoints(this.#decoder.decode(Uint8Array.from(bytes), { stream: true }))
        return offset
      })
    }
  }
}

/** Two runs of tokens as one. */
export function joinLogprobs (a: LegacyLogprobs, b: LegacyLogprobs): LegacyLogprobs {
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: [...a.top_logprobs, ...b.top_logprobs],
    text_offset: [...a.text_offset, ...b.text_offset]
  }
}
