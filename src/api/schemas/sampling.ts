/**
 * The fields that generating endpoints have in common: how tokens are drawn, how the answer is sent, who shares cached
 * prompts.
 */
import { Type, type Static, type TObject } from 'typebox'
import { anyObject, checkedApart, nullable } from '../../checker.js'
import { alignmentSchema } from '../../decoding/strategies/strategy-schemas.js'
import { minTemperature } from '../../policies/sampling-params.js'
import type { DraftRequest, GenerateRequest } from '../../serving/protocol.js'
import { refuse } from '../../validation.js'
import { journalSchema } from './journal-schema.js'
import { responseFormatSchema } from '../chat/response-format-schema.js'

/** Fields of every generating endpoint. */
export const drawingFields = {
  model: Type.String({
    minLength: 1, maxLength: 512, description: 'id of a model in GET /v1/models; model:profile picks a profile'
  }),
  temperature: Type.Number({
    minimum: 0, maximum: 2, default: 1, description: `0 is greedy; below ${minTemperature} is 0`
  }),
  top_p: Type.Number({ minimum: 0, maximum: 1, default: 1, description: 'nucleus; 1 is off, 0 is greedy' }),
  top_k: Type.Integer({ minimum: -1, maximum: 1 << 20, default: 0, description: '0 or −1 is off' }),
  min_p: Type.Number({
    minimum: 0, maximum: 1, default: 0, description: 'of the most probable token’s probability; 0 is off'
  }),
  frequency_penalty: Type.Number({
    minimum: -2, maximum: 2, default: 0, description: 'per use of a token in the answer'
  }),
  presence_penalty: Type.Number({ minimum: -2, maximum: 2, default: 0, description: 'once for a token in the answer' }),
  repetition_penalty: Type.Number({
    exclusiveMinimum: 0, maximum: 10, default: 1, description: 'for tokens of prompt and answer; 1 is off'
  }),
  min_tokens: Type.Integer({
    minimum: 0, maximum: 1 << 20, default: 0, description: 'end tokens are not drawn before this many'
  }),
  stop: Type.Union([Type.String({ minLength: 1, maxLength: 256 }), Type.Array(
    Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 4 }
  )], { default: [], description: 'at most 4 texts that end the answer' }),
  stop_token_ids: Type.Array(Type.Integer({ minimum: 0 }),
    { default: [], maxItems: 64, description: 'more tokens that end the answer' }),
  include_stop_str_in_output: Type.Boolean({
    default: false, description: 'keep the stop text, or the end token’s text'
  }),
  ignore_eos: Type.Boolean({ default: false, description: 'the model’s end tokens do not end the answer' }),
  skip_special_tokens: Type.Boolean({ default: true, description: 'control tokens in the answer give no text' }),
  logit_bias: nullable(Type.Unsafe<Record<number, number>>(anyObject({
    maxProperties: 300,
    propertyNames: { type: 'string', pattern: '^\\d+$', description: 'token ids' },
    additionalProperties: Type.Number({ minimum: -100, maximum: 100 })
  })), { default: null, description: 'token id → −100 to 100' }),
  seed: nullable(Type.Integer({ minimum: -(2 ** 63), maximum: 2 ** 63 }), {
    default: null,
    description: 'same seed and system_fingerprint, same tokens. 64 bits with a sign; as a JSON number is read as a ' +
      'double, seeds beyond ±2^53 that differ in their last digits only are the same'
  }),
  stream: Type.Boolean({ default: false, description: 'send the answer as server-sent events' }),
  cache_salt: Type.String({
    default: '', maxLength: 256, description: 'cached prompts are shared only among equal salts'
  }),
  priority: Type.Integer({
    minimum: -1000,
    maximum: 1000,
    default: 0,
    description: 'where requests wait for memory, those with a lower one start first; below 0 needs the role admin'
  }),
  alignment: nullable(checkedApart<object>(alignmentSchema, 'object'),
    { default: null, description: 'guidance: see the table of strategies' })
}

/** Fields of chat and legacy completions, which return choices. */
export const samplingFields = {
  ...drawingFields,
  n: Type.Integer({ minimum: 1, maximum: 128, default: 1, description: 'choices returned' }),
  stream_options: nullable(Type.Object({
    include_usage: Type.Boolean({ default: false }),
    include_journal: journalSchema,
    include_obfuscation: Type.Boolean({ default: false }),
    continuous_usage_stats: Type.Boolean({ default: false })
  }), {
    default: null,
    description: 'include_usage: the usage comes last; include_journal: chunks with the run’s journal, see Journal; ' +
      'both need stream. The others, of OpenAI and vLLM, have no effect'
  }),
  prompt_lookup: Type.Boolean({
    default: false,
    description: 'guess tokens from the prompt and the answer so far, and check several in one pass; see Speculative ' +
      'decoding'
  }),
  return_token_ids: Type.Boolean({
    default: false, description: 'add prompt_token_ids and token_ids, end token included'
  }),
  response_format: nullable(responseFormatSchema,
    { default: null, description: 'what the answer is: text, json_object, or JSON of a schema; see Structured output' })
}

/** A checked body's fields for drawing tokens and for streaming. */
export type SamplingBody = Static<TObject<typeof drawingFields>> & { readonly stream_options: object | null }

/** @throws RequestError for fields that would break what an answer is held to */
export function checkHeld (
  body: Pick<SamplingBody, 'ignore_eos' | 'min_tokens'>, grammar: GenerateRequest['grammar']
): void {
  if (grammar && body.ignore_eos) {
    throw refuse('ignore_eos',
      `cannot be true with ${grammar.param}: where the answer is complete only an end token may follow`, true)
  }
  if (grammar && body.min_tokens > 0) {
    throw refuse('min_tokens', `must be 0 with ${grammar.param}: the answer ends where it is complete`, body.min_tokens)
  }
}

/**
 * Whether tokens are guessed ahead.
 * @param prediction text that much of the answer may be; '' for none
 * @param drawn answers drawn at the same time
 * @throws RequestError where guessing cannot pay
 */
export function draftsOf (
  body: { readonly prompt_lookup: boolean, readonly alignment: unknown }, drawn: number, prediction = ''
): DraftRequest | null {
  if (!body.prompt_lookup && prediction === '') return null
  const field = body.prompt_lookup ? 'prompt_lookup' : 'prediction'
  if (drawn > 1) {
    throw refuse(field,
      `needs one answer: with several at once each pass is worth its while, and guesses are not; ${drawn} are drawn`,
      body.prompt_lookup || prediction)
  }
  if (body.alignment) {
    throw refuse(field, 'cannot be given with alignment: a guided answer is not the one that the prompt suggests',
      body.prompt_lookup || prediction)
  }
  return { prediction }
}

/**
 * The sampling part of a request to the inference thread.
 * @param maxTokens longest answer, tokens; null is as much as there is room for
 * @param topLogprobs alternatives to report per token, null for no logprobs
 * @throws RequestError for fields that contradict each other
 */
export function samplingOf (
  body: SamplingBody, maxTokens: number | null, topLogprobs: number | null
): GenerateRequest['sampling'] {
  if (maxTokens !== null && body.min_tokens > maxTokens) {
    throw refuse('min_tokens', `must be at most max_tokens = ${maxTokens}`, body.min_tokens)
  }
  if (body.stream_options && !body.stream) throw refuse('stream_options', 'needs stream: true', body.stream_options)
  return {
    temperature: body.temperature,
    topP: body.top_p,
    topK: Math.max(0, body.top_k),
    minP: body.min_p,
    frequencyPenalty: body.frequency_penalty,
    presencePenalty: body.presence_penalty,
    repetitionPenalty: body.repetition_penalty,
    logitBias: body.logit_bias ?? {},
    maxTokens,
    minTokens: body.min_tokens,
    stop: typeof body.stop === 'string' ? [body.stop] : body.stop,
    stopTokenIds: body.stop_token_ids,
    ignoreEos: body.ignore_eos,
    includeStop: body.include_stop_str_in_output,
    topLogprobs
  }
}
