/**
 * What the prompt thread does: everything whose work grows with a caller's text before a model runs. Plain data in,
 * plain data out.
 */
import type { ChatMessage, Prompt } from '../rewards/scorer.js'
import { answeredTokens, type AnsweredChat, type AnsweredTokens } from '../models/tokenizer/answered-chat.js'
import type { Tokenized } from './calls.js'
import {
  checkTokens, readPrompt, renderPrompt, textTokens, tokensOf, writtenText, type PromptModel
} from './prompt-reader.js'
import type { PromptInput } from './protocol.js'
import { truncated } from './truncation.js'

/** Something to be read, and what its caller calls it. */
interface Named<T> { readonly input: T, readonly param: string }

/** A conversation and an answer to it. */
interface Exchange { readonly messages: readonly ChatMessage[], readonly answer: string }

/** Everything the thread can be asked, by name. All throw RequestErrors for what cannot be read. */
export const promptJobs = {
  /** A prompt of any kind, truncated where that was asked for; `kept` is what was kept of it then. */
  prompt (
    model: PromptModel, { input, maxTokens }: { readonly input: PromptInput, readonly maxTokens: number | null }
  ): { readonly prompt: Prompt, readonly kept: PromptInput | null } {
    const kept = 'messages' in input && input.truncate ? truncated(model, input, maxTokens) : null
    return { prompt: readPrompt(model, kept ?? input), kept }
  },

  /** Tokens of prompts of any length. */
  tokens: (model: PromptModel, inputs: ReadonlyArray<Named<PromptInput>>): number[][] =>
    inputs.map(({ input, param }) => tokensOf(model, input, param)),

  /** Tokens of a text without a template. */
  text: (model: PromptModel, { input, param }: Named<string>): number[] => textTokens(model, input, param),

  /** Conversations, each with room for an answer, and the tokens of answers to them. */
  exchanges: (model: PromptModel, inputs: ReadonlyArray<Named<Exchange>>):
  Array<{ readonly prompt: Prompt, readonly tokens: readonly number[] }> =>
    inputs.map(({ input: { messages, answer }, param }) =>
      ({ prompt: renderPrompt(model, messages), tokens: textTokens(model, answer, param) })),

  /** Chats and answers to them, of any length. */
  answers: (model: PromptModel, chats: readonly AnsweredChat[]): AnsweredTokens[] =>
    chats.map(chat => answeredTokens(model, chat)),

  tokenize (model: PromptModel, input: PromptInput): Tokenized {
    const tokens = tokensOf(model, input)
    return { tokens, texts: tokens.map(token => writtenText(model, [token])) }
  },

  /** The text that tokens are written with, control tokens' included. */
  detokenize (model: PromptModel, tokens: readonly number[]): string {
    checkTokens(model, tokens, 'tokens')
    return writtenText(model, tokens)
  }
} as const

type PromptJobs = typeof promptJobs
export type PromptJobName = keyof PromptJobs
export type JobInput<N extends PromptJobName> = Parameters<PromptJobs[N]>[1]
export type JobOutput<N extends PromptJobName> = ReturnType<PromptJobs[N]>
