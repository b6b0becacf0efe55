/** Text ↔ tokens for callers. */
import type { DetokenizeRequest, Tokenized, TokenizeRequest, TokenizerInfo } from './calls.js'
import type { ServedModel } from './served-models.js'

/** @throws RequestError for messages that the template refuses, and for more text than the context has room for */
export function tokenize (
  { prompts, model }: ServedModel, { prompt, caller = '' }: TokenizeRequest, signal: AbortSignal
): Promise<Tokenized> {
  return prompts.run(model, 'tokenize', prompt, { caller, signal })
}

/** The text that tokens are written with, control tokens' included. @throws RequestError for an unknown token */
export function detokenize (
  { prompts, model }: ServedModel, { tokens, caller = '' }: DetokenizeRequest, signal: AbortSignal
): Promise<string> {
  return prompts.run(model, 'detokenize', tokens, { caller, signal })
}

/** The model's chat template, in vLLM's shape. */
export function tokenizerInfo ({ model: { chatTemplate: { source, constants } } }: ServedModel): TokenizerInfo {
  return { beginToken: constants.bos_token, endToken: constants.eos_token, chatTemplate: source }
}
