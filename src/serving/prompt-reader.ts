/**
 * Turns a caller's prompt into tokens: messages by the chat template, text, or token ids. Rejects invalid ones.
 */
import { RequestError } from '../errors.js'
import type { LoadedModel } from '../models/model.js'
import { encodeChat, type ChatOptions } from '../models/tokenizer/chat-template.js'
import { writtenMessages } from '../models/tokenizer/tool-messages.js'
import { refuse } from '../validation.js'
import type { ChatMessage, Prompt } from '../rewards/scorer.js'
import type { PromptInput } from './protocol.js'

/** @throws RequestError for a number that is no token of the model */
export function checkTokens ({ tokenizer }: LoadedModel, tokens: readonly number[], param: string): void {
  const size = tokenizer.vocabularySize
  const bad = tokens.find(token => !Number.isInteger(token) || token < 0 || token >= size)
  if (bad !== undefined) throw refuse(param, `must hold token ids from 0 to ${size - 1}`, bad)
}

/**
 * Messages as the model's template takes them.
 * @throws RequestError if the template refuses them or the prompt has no room for an answer
 */
export function renderPrompt (
  { chatTemplate, tokenizer, contextLength: limit }: LoadedModel, messages: readonly ChatMessage[],
  ending: ChatOptions = {}
): Prompt {
  const { text, tokens } = encodeChat(chatTemplate, tokenizer, messages, ending)
  if (tokens.length >= limit) {
    throw new RequestError('context_length_exceeded',
      `This model's context length is ${limit} tokens; the messages have ${tokens.length}`, { param: 'messages' })
  }
  // Scorers render messages themselves, by templates that may not know calls.
  return { messages: writtenMessages(messages), text, tokens }
}

/** Tokens of anything a caller may give, of any length, as a model reads it. */
export function tokensOf ({ chatTemplate, tokenizer }: LoadedModel, input: PromptInput): number[] {
  if ('messages' in input) return encodeChat(chatTemplate, tokenizer, input.messages, input).tokens
  if ('tokens' in input) return [...input.tokens]
  return [...(input.addSpecialTokens ? tokenizer.startTokens : []),
    ...tokenizer.encodeTemplate([{ text: input.text, trusted: true }])]
}

/** The text that tokens are written with in a prompt. */
export function writtenText ({ tokenizer }: LoadedModel, tokens: readonly number[]): string {
  return Buffer.concat(tokens.map(token => tokenizer.writtenBytes(token))).toString()
}

/**
 * A prompt of any kind, with room for an answer behind it.
 * @throws RequestError if the template refuses it, it holds no token, or it fills the context
 */
export function readPrompt (model: LoadedModel, input: PromptInput): Prompt {
  if ('messages' in input) return renderPrompt(model, input.messages, input)
  if ('tokens' in input) checkTokens(model, input.tokens, 'prompt')
  const tokens = tokensOf(model, input)
  const limit = model.contextLength
  if (tokens.length === 0) throw refuse('prompt', 'must hold at least one token', 'text' in input ? input.text : [])
  if (tokens.length >= limit) {
    throw new RequestError('context_length_exceeded',
      `This model's context length is ${limit} tokens; the prompt has ${tokens.length}`, { param: 'prompt' })
  }
  const text = 'text' in input ? input.text : writtenText(model, tokens)
  // Scorers that render messages themselves read it as a user's.
  return { messages: [{ role: 'user', content: text }], text, tokens }
}
