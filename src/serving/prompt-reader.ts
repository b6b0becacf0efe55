/**
 * From what a caller gives to the tokens a model reads: messages by its template, text, or token ids. Refuses what it
 * cannot read.
 */
import type { Context } from '../decoding/strategies/strategy-schemas.js'
import { RequestError } from '../errors.js'
import { encodeChat, type ChatOptions } from '../models/tokenizer/chat-template.js'
import { writtenMessages } from '../models/tokenizer/tool-messages.js'
import { refuse } from '../validation.js'
import type { ChatMessage, Prompt } from '../rewards/scorer.js'
import type { Host } from './model-runtime.js'
import type { PromptInput } from './protocol.js'

/** @throws RequestError for a number that is no token of the model */
export function checkTokens (host: Host, tokens: readonly number[], param: string): void {
  const size = host.model.tokenizer.vocabularySize
  const bad = tokens.find(token => !Number.isInteger(token) || token < 0 || token >= size)
  if (bad !== undefined) throw refuse(param, `must hold token ids from 0 to ${size - 1}`, bad)
}

/**
 * Messages as the model's template takes them.
 * @throws RequestError if the template refuses them or the prompt has no room for an answer
 */
export function renderPrompt (host: Host, messages: readonly ChatMessage[], ending: ChatOptions = {}): Prompt {
  const { text, tokens } = encodeChat(host.model.chatTemplate, host.model.tokenizer, messages, ending)
  const limit = host.model.contextLength
  if (tokens.length >= limit) {
    throw new RequestError('context_length_exceeded',
      `This model's context length is ${limit} tokens; the messages have ${tokens.length}`, { param: 'messages' })
  }
  // Scorers render messages themselves, by templates that may not know calls.
  return { messages: writtenMessages(messages), text, tokens }
}

/** Tokens of anything a caller may give, of any length, as a model reads it. */
export function tokensOf ({ model: { chatTemplate, tokenizer } }: Pick<Host, 'model'>, input: PromptInput): number[] {
  if ('messages' in input) return encodeChat(chatTemplate, tokenizer, input.messages, input).tokens
  if ('tokens' in input) return [...input.tokens]
  return [...(input.addSpecialTokens ? tokenizer.startTokens : []),
    ...tokenizer.encodeTemplate([{ text: input.text, trusted: true }])]
}

const firstSystem = (role: string): boolean => role === 'system' || role === 'developer'

/**
 * A prompt in another context: with another system message, and a text before the last user message, or before all of
 * it where it is no chat.
 * @param param what the caller calls the context, for errors
 * @throws RequestError where there is no such place
 */
export function inContext (
  host: Host, input: PromptInput, { system, prefix = '' }: Context, param: string
): PromptInput {
  if (!('messages' in input)) {
    if (system !== undefined) {
      throw refuse(`${param}.system`, 'needs messages: a prompt of text or tokens has no system message', system)
    }
    if ('text' in input) return { ...input, text: `${prefix}${input.text}` }
    return { tokens: [...tokensOf(host, { text: prefix, addSpecialTokens: false }), ...input.tokens] }
  }
  const rest = system !== undefined && input.messages[0] && firstSystem(input.messages[0].role)
    ? input.messages.slice(1)
    : input.messages
  const last = rest.findLastIndex(({ role }) => role === 'user')
  if (prefix !== '' && last < 0) throw refuse(`${param}.prefix`, 'needs a user message', prefix)
  const messages = rest.map((message, index) =>
    index === last ? { ...message, content: `${prefix}${message.content}` } : message)
  return { ...input, messages: system === undefined ? messages : [{ role: 'system', content: system }, ...messages] }
}

/** The text that tokens are written with in a prompt. */
export function writtenText (host: Host, tokens: readonly number[]): string {
  return Buffer.concat(tokens.map(token => host.model.tokenizer.writtenBytes(token))).toString()
}

/**
 * A prompt of any kind, with room for an answer behind it.
 * @throws RequestError if the template refuses it, it holds no token, or it fills the context
 */
export function readPrompt (host: Host, input: PromptInput): Prompt {
  if ('messages' in input) return renderPrompt(host, input.messages, input)
  if ('tokens' in input) checkTokens(host, input.tokens, 'prompt')
  const tokens = tokensOf(host, input)
  const limit = host.model.contextLength
  if (tokens.length === 0) throw refuse('prompt', 'must hold at least one token', 'text' in input ? input.text : [])
  if (tokens.length >= limit) {
    throw new RequestError('context_length_exceeded',
      `This model's context length is ${limit} tokens; the prompt has ${tokens.length}`, { param: 'prompt' })
  }
  const text = 'text' in input ? input.text : writtenText(host, tokens)
  // Scorers that render messages themselves read it as a user's.
  return { messages: [{ role: 'user', content: text }], text, tokens }
}
