/** The body of `POST /v1/chat/completions`, and how it becomes a request to the inference thread. */
import { Type, type Static, type TObject } from 'typebox'
import { nullable } from '../../checker.js'
import { parseAlignment } from '../../decoding/strategies/parse-alignment.js'
import type { GenerateRequest, ModelInfo } from '../../serving/protocol.js'
import { checkedRequest } from '../../serving/request-rules.js'
import { refuse } from '../../validation.js'
import { fingerprintOf } from '../generation/generation-state.js'
import { asSent, type ShownRequest } from '../generation/run-head.js'
import type { Catalog } from '../models/model-catalog.js'
import { openBody } from '../schemas/body.js'
import { chatMessageSchema, chatMessagesOf, checkResults } from './message-schema.js'
import { formatOf } from './response-format-schema.js'
import { journalOf } from '../schemas/journal-schema.js'
import { checkHeld, draftsOf, samplingFields, samplingOf } from '../schemas/sampling.js'
import { toolChoiceSchema, toolsOf, toolsSchema } from './tool-schema.js'

/** Messages and how the prompt made of them ends. */
export const chatFields = {
  messages: Type.Array(chatMessageSchema, { minItems: 1, maxItems: 4096, description: 'the conversation so far' }),
  add_generation_prompt: nullable(Type.Boolean(),
    { default: null, description: 'open the assistant’s turn; true unless continue_final_message is' }),
  continue_final_message: Type.Boolean({ default: false, description: 'the answer goes on from the last message' })
}

const predictionSchema = Type.Object({
  type: Type.Literal('content'),
  content: Type.Union([Type.String(),
    Type.Array(Type.Object({ type: Type.Literal('text'), text: Type.String() }), { minItems: 1 })])
})

/** OpenAI's fields and vLLM's usual ones that are honoured. */
export const chatCompletionSchema = Type.Object({
  ...chatFields,
  ...samplingFields,
  max_completion_tokens: nullable(Type.Integer({ minimum: 1, maximum: 1 << 20 }),
    { default: null, description: 'maximum tokens to generate; overrides max_tokens' }),
  max_tokens: nullable(Type.Integer({ minimum: 1, maximum: 1 << 20 }),
    { default: null, description: 'maximum tokens to generate; default: the remaining context' }),
  logprobs: Type.Boolean({ default: false, description: 'report how probable the model held each token' }),
  top_logprobs: nullable(Type.Integer({ minimum: 0, maximum: 20 }),
    { default: null, description: 'alternatives per token; needs logprobs' }),
  echo: Type.Boolean({ default: false, description: 'put the last message, the assistant’s, before the answer' }),
  prediction: nullable(predictionSchema, {
    default: null,
    description: 'text that much of the answer may be: tokens are guessed from it; see Speculative decoding'
  }),
  store: Type.Boolean({
    default: false,
    description: 'keep the conversation and the answer, so that it can be given feedback on: see Feedback'
  }),
  tools: nullable(toolsSchema,
    { default: null, description: 'functions that the answer may call, at most 128; see Tools' }),
  tool_choice: nullable(toolChoiceSchema,
    { default: null, description: 'none, auto, required, or the function that is called; auto where there are tools' }),
  parallel_tool_calls: Type.Boolean({ default: true, description: 'whether an answer may have several calls' })
})

export type ChatCompletionBody = Static<typeof chatCompletionSchema>

export const chatCompletionBody = openBody(chatCompletionSchema)

function predictionOf (prediction: Static<typeof predictionSchema> | null): string {
  if (!prediction) return ''
  return typeof prediction.content === 'string'
    ? prediction.content
    : prediction.content.map(part => part.text).join('')
}

type ChatBody = Static<TObject<typeof chatFields>>

/** @throws RequestError where a message cannot be what it is, or the prompt is to be ended in two ways */
export function chatPromptOf (body: ChatBody): Extract<GenerateRequest['prompt'], { messages: unknown }> {
  if (body.continue_final_message && body.add_generation_prompt === true) {
    throw refuse('continue_final_message', 'and add_generation_prompt cannot both be true', true)
  }
  const messages = chatMessagesOf(body.messages)
  checkResults(messages)
  return {
    messages,
    addGenerationPrompt: body.add_generation_prompt ?? !body.continue_final_message,
    continueFinalMessage: body.continue_final_message,
    truncate: false
  }
}

/** A checked body and what it asks of the inference thread. */
export interface ChatCompletionRequest {
  readonly generate: GenerateRequest
  /** The model that answers. */
  readonly model: ModelInfo
  /** Name of the model as the caller wrote it, profile included. */
  readonly modelName: string
  /** The request as its journal tells it. */
  readonly shown: ShownRequest
  readonly stream: boolean
  readonly includeUsage: boolean
  readonly returnTokenIds: boolean
  /** Whether answers may call functions. */
  readonly hasTools: boolean
  /** Text that every answer begins with. */
  readonly echoed: string
  /** Whether the answer is to be kept. */
  readonly store: boolean
}

/**
 * What a checked body asks for.
 * @throws RequestError for fields that contradict each other
 */
export function parseChatCompletion (body: ChatCompletionBody, catalog: Catalog): ChatCompletionRequest {
  const { model, alignment } = catalog.choose(body.model, body.alignment)
  if (body.top_logprobs !== null && body.top_logprobs > 0 &&
      !body.logprobs) throw refuse('top_logprobs', 'needs logprobs: true', body.top_logprobs)
  const prompt = chatPromptOf(body)
  const last = prompt.messages.at(-1)!
  if (body.echo && last.role !== 'assistant') throw refuse('echo', 'needs a last message of the assistant', last.role)
  for (const field of ['echo', 'continue_final_message'] as const) {
    if (body[field] && last.calls) throw refuse(field, 'needs a last message without tool_calls', true)
  }
  if (body.store && body.continue_final_message) {
    throw refuse('store', 'and continue_final_message cannot both be true: feedback is on whole answers', true)
  }
  const [format, { tools, grammar: calls }] = [formatOf(body), toolsOf(body, model.callForm)]
  if (format &&
      calls) throw refuse('tools', 'cannot be given with response_format, unless tool_choice is none', body.tools)
  if (body.store && calls) throw refuse('store', 'and tools cannot both be given: feedback is on answers of text', true)
  const grammar = format ?? calls
  checkHeld(body, grammar)
  if (grammar && body.continue_final_message) {
    throw refuse('continue_final_message',
      `cannot be true with ${grammar.param}: what the whole answer is like is said there`, true)
  }
  const drafts = draftsOf({ ...body, alignment }, body.n, predictionOf(body.prediction))
  return {
    generate: checkedRequest({
      model: model.id,
      prompt: { ...prompt, tools },
      promptLogprobs: null,
      bestOf: null,
      n: body.n,
      sampling: samplingOf(body, body.max_completion_tokens ?? body.max_tokens,
        body.logprobs ? body.top_logprobs ?? 0 : null),
      skipSpecialTokens: body.skip_special_tokens,
      seed: body.seed,
      alignment: alignment === null ? null : parseAlignment(alignment),
      cacheSalt: body.cache_salt,
      priority: body.priority,
      grammar,
      drafts,
      journal: journalOf(body.stream_options?.include_journal)
    }),
    model,
    modelName: body.model,
    shown: {
      model: body.model, fingerprint: fingerprintOf(model, { drafts }), body: asSent(body, chatCompletionSchema)
    },
    stream: body.stream,
    includeUsage: body.stream_options?.include_usage ?? false,
    returnTokenIds: body.return_token_ids,
    hasTools: calls !== null,
    echoed: body.echo ? last.content : '',
    store: body.store
  }
}
