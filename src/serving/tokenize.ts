/** Text ↔ tokens for callers. */
import type { LoadedModel } from '../models/model.js'
import { checkTokens, tokensOf, writtenText } from './prompt-reader.js'
import type { DetokenizeRequest, Tokenized, TokenizeRequest, TokenizerInfo } from './calls.js'

/** @throws RequestError for messages that the template refuses */
export function tokenize (model: LoadedModel, { prompt }: TokenizeRequest): Tokenized {
  const tokens = tokensOf(model, prompt)
  return { tokens, texts: tokens.map(token => writtenText(model, [token])) }
}

/** The text that tokens are written with, control tokens' included. @throws RequestError for an unknown token */
export function detokenize (model: LoadedModel, { tokens }: DetokenizeRequest): string {
  checkTokens(model, tokens, 'tokens')
  return writtenText(model, tokens)
}

/** The model's chat template, in vLLM's shape. */
export function tokenizerInfo ({ chatTemplate: { source, constants } }: LoadedModel): TokenizerInfo {
  return { beginToken: constants.bos_token, endToken: constants.eos_token, chatTemplate: source }
}
