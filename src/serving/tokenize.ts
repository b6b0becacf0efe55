/** Text ↔ tokens for callers. */
import type { Host } from './model-runtime.js'
import { checkTokens, tokensOf, writtenText } from './prompt-reader.js'
import type { DetokenizeRequest, Tokenized, TokenizeRequest, TokenizerInfo } from './protocol.js'

/** @throws RequestError for messages that the template refuses */
export function tokenize (host: Host, { prompt }: TokenizeRequest): Tokenized {
  const tokens = tokensOf(host, prompt)
  return { tokens, texts: tokens.map(token => writtenText(host, [token])) }
}

/** The text that tokens are written with, control tokens' included. @throws RequestError for an unknown token */
export function detokenize (host: Host, { tokens }: DetokenizeRequest): string {
  checkTokens(host, tokens, 'tokens')
  return writtenText(host, tokens)
}

/** The model's chat template, in vLLM's shape. */
export function tokenizerInfo ({ model: { chatTemplate: { source, constants } } }: Host): TokenizerInfo {
  return { beginToken: constants.bos_token, endToken: constants.eos_token, chatTemplate: source }
}
