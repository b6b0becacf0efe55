/** Chats and answers to them as tokens: what rewards are fitted on. The work grows with the texts. */
import type { ModelFacts } from '../model.js'
import { encodeChat } from './chat-template.js'
import { checkTextBytes } from './text-limit.js'
import type { TemplateMessage } from './tool-messages.js'

/** `text` answers `messages`. */
export interface AnsweredChat { readonly messages: readonly TemplateMessage[], readonly text: string }

/** The same in tokens. */
export interface AnsweredTokens {
  /** Of the rendered prompt, up to where the answer starts. At least one. */
  readonly promptTokens: readonly number[]
  /** Of the answer alone: no template, no end token. */
  readonly answerTokens: readonly number[]
}

/** @throws RequestError for text that no context has room for, and for messages that the template refuses */
export function answeredTokens (
  model: Pick<ModelFacts, 'chatTemplate' | 'tokenizer' | 'contextLength'>, { messages, text }: AnsweredChat
): AnsweredTokens {
  checkTextBytes(model, messages, 'examples')
  checkTextBytes(model, text, 'examples')
  return {
    promptTokens: encodeChat(model.chatTemplate, model.tokenizer, messages).tokens,
    answerTokens: model.tokenizer.encode(text)
  }
}
