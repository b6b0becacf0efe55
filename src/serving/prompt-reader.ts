/**
 * Turns a caller's prompt into tokens: messages by the chat template, text, or token ids. Rejects invalid ones. Its
 * work grows with the text: requests have it done in the prompt thread (prompts.ts).
 */
import { RequestError } from '../errors.js'
import type { ModelFacts } from '../models/model.js'
import { encodeChat, type ChatOptions } from '../models/tokenizer/chat-template.js'
import { checkTextBytes } from '../models/tokenizer/text-limit.js'
import { writtenMessages } from '../models/tokenizer/tool-messages.js'
import { refuse } from '../validation.js'
import type { ChatMessage, Prompt } from '../rewards/scorer.js'
import type { PromptInput } from './protocol.js'

/** What prompts are read with. */
export type PromptModel = Pick<ModelFacts, 'chatTemplate' | 'tokenizer' | 'contextLength'>

/** @throws RequestError for a number that is no token of the model */
export function checkTokens (
  { tokenizer }: Pick<PromptModel, 'tokenizer'>, tokens: readonly number[], param: string
): void {
  const size = tokenizer.vocabularySize
  const bad = tokens.find(token => !Number.isInteger(token) || token < 0 || token >= size)
  if (bad !== undefined) throw refuse(param, `must hold token ids from 0 to ${size - 1}`, bad)
}

/** A chat by the model's template. @throws RequestError for one that the template refuses, or that is too large */
function encodeMessages (
  model: PromptModel, messages: readonly ChatMessage[], ending: ChatOptions
): { text: string, tokens: number[] } {
  checkTextBytes(model, [messages, ending.tools], 'messages')
  return encodeChat(model.chatTemplate, model.tokenizer, messages, ending)
}

/**
 * Messages as the model's template takes them.
 * @throws RequestError if the template refuses them or the prompt has no room for an answer
 */
export function renderPrompt (
  model: PromptModel, messages: readonly ChatMessage[], ending: ChatOptions = {}
): Prompt {
  const { text, tokens } = encodeMessages(model, messages, ending)
  const limit = model.contextLength
  if (tokens.length >= limit) {
    throw new RequestError('context_length_exceeded',
      `This model's context length is ${limit} tokens; the messages have ${tokens.length}`, { param: 'messages' })
  }
  // Scorers render messages themselves, by templates that may not know calls.
  return { messages: writtenMessages(messages), text, tokens }
}

/**
 * Tokens of a text without a template.
 * @param param what the caller calls it
 * @throws RequestError for one that is too large
 */
export function textTokens (model: PromptModel, text: string, param: string): number[] {
  checkTextBytes(model, text, param)
  return model.tokenizer.encode(text)
}

/**
 * Tokens of anything a caller may give, as a model reads it.
 * @param param what the caller calls it
 * @throws RequestError for text that no context has room for, and for messages that the template refuses
 */
export function tokensOf (model: PromptModel, input: PromptInput, param = 'prompt'): number[] {
  if ('messages' in input) return encodeMessages(model, input.messages, input).tokens
  if ('tokens' in input) {
    checkTokens(model, input.tokens, param)
    return [...input.tokens]
  }
  checkTextBytes(model, input.text, param)
  return [...(input.addSpecialTokens ? model.tokenizer.startTokens : []),
    ...model.tokenizer.encodeTemplate([{ text: input.text, trusted: true }])]
}

/** The text that tokens are written with in a prompt. */
export function writtenText ({ tokenizer }: Pick<PromptModel, 'tokenizer'>, tokens: readonly number[]): string {
  return Buffer.concat(tokens.map(token => tokenizer.writtenBytes(token))).toString()
}

/**
 * A prompt of any kind, with room for an answer behind it.
 * @throws RequestError if the template refuses it, it holds no token, or it fills the context
 */
export function readPrompt (model: PromptModel, input: PromptInput): Prompt {
  if ('messages' in input) return renderPrompt(model, input.messages, input)
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
