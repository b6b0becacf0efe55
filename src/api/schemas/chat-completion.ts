/** The body of `POST /v1/chat/completions`: every field honoured, those refused, and how it becomes a request to the inference thread. */
import { Type, type Static, type TNull, type TSchema, type TSchemaOptions, type TUnion } from 'typebox'
import { parseAlignment } from '../../decoding/parameters.js'
import { RequestError } from '../../errors.js'
import type { GenerateRequest } from '../../inference/protocol.js'
import type { ChatMessage } from '../../rewards/scorer.js'
import { checkFields, nearestName, refuse } from '../../validation.js'

const nullable = <T extends TSchema> (schema: T, options: TSchemaOptions): TUnion<[T, TNull]> => Type.Union([schema, Type.Null()], options)

const part = Type.Object({ type: Type.Literal('text'), text: Type.String() }, { additionalProperties: false })

const message = Type.Object({
  role: Type.Enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: Type.Union([Type.String(), Type.Array(part, { minItems: 1 })]),
  name: Type.Optional(Type.String())
}, { additionalProperties: false })

/** OpenAI's fields and vLLM's usual ones that are honoured. */
export const chatCompletionSchema = Type.Object({
  model: Type.String({ minLength: 1, description: 'id of a model in GET /v1/models' }),
  messages: Type.Array(message, { minItems: 1, maxItems: 4096, description: 'the conversation so far' }),
  n: Type.Integer({ minimum: 1, maximum: 128, default: 1, description: 'choices returned' }),
  temperature: Type.Number({ minimum: 0, maximum: 2, default: 1, description: '0 is greedy' }),
  top_p: Type.Number({ exclusiveMinimum: 0, maximum: 1, default: 1, description: 'nucleus; 1 is off' }),
  top_k: Type.Integer({ minimum: -1, maximum: 1 << 20, default: 0, description: '0 or −1 is off' }),
  min_p: Type.Number({ minimum: 0, maximum: 1, default: 0, description: 'of the most probable token’s probability; 0 is off' }),
  frequency_penalty: Type.Number({ minimum: -2, maximum: 2, default: 0 }),
  presence_penalty: Type.Number({ minimum: -2, maximum: 2, default: 0 }),
  repetition_penalty: Type.Number({ exclusiveMinimum: 0, maximum: 10, default: 1 }),
  max_completion_tokens: nullable(Type.Integer({ minimum: 1, maximum: 1 << 20 }), { default: null, description: 'wins over max_tokens' }),
  max_tokens: nullable(Type.Integer({ minimum: 1, maximum: 1 << 20 }), { default: null }),
  min_tokens: Type.Integer({ minimum: 0, maximum: 1 << 20, default: 0 }),
  stop: Type.Union([Type.String({ minLength: 1, maxLength: 256 }), Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 4 })], { default: [], description: 'at most 4 texts that end the answer' }),
  stop_token_ids: Type.Array(Type.Integer({ minimum: 0 }), { default: [], maxItems: 64 }),
  ignore_eos: Type.Boolean({ default: false }),
  logit_bias: nullable(Type.Object({}, { additionalProperties: Type.Number() }), { default: null, description: 'token id → −100 to 100, at most 300' }),
  logprobs: Type.Boolean({ default: false }),
  top_logprobs: nullable(Type.Integer({ minimum: 0, maximum: 20 }), { default: null, description: 'needs logprobs' }),
  seed: nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), { default: null, description: 'same seed and system_fingerprint, same tokens' }),
  stream: Type.Boolean({ default: false }),
  stream_options: nullable(Type.Object({ include_usage: Type.Boolean({ default: false }), include_obfuscation: Type.Boolean({ default: false }) }, { additionalProperties: false }), { default: null }),
  cache_salt: Type.String({ default: '', maxLength: 256, description: 'cached prompts are shared only among equal salts' }),
  alignment: nullable(Type.Object({}), { default: null, description: 'guidance: see the table of strategies' })
}, { additionalProperties: false })

export type ChatCompletionBody = Static<typeof chatCompletionSchema>

/** Accepted, without effect by OpenAI's own specification. */
const withoutEffect = new Set(['service_tier', 'prompt_cache_key', 'safety_identifier', 'verbosity', 'reasoning_effort', 'user', 'metadata', 'parallel_tool_calls'])

/** Values that ask for nothing, of fields that are not supported otherwise. */
const neutral: Readonly<Record<string, (value: unknown) => boolean>> = {
  response_format: value => (value as { type?: unknown }).type === 'text',
  tools: value => Array.isArray(value) && value.length === 0,
  tool_choice: value => value === 'none' || value === 'auto',
  modalities: value => Array.isArray(value) && value.length === 1 && value[0] === 'text',
  store: value => value === false,
  audio: () => false,
  prediction: () => false,
  functions: value => Array.isArray(value) && value.length === 0,
  function_call: value => value === 'none',
  web_search_options: () => false
}

/** Fields of other servers that would change what is meant: refused with what to say here. */
const otherServers: Readonly<Record<string, string>> = {
  best_of: 'say alignment: {strategy: "best_of_n", num_candidates, reward}',
  use_beam_search: 'say alignment: {strategy: "beam_search", num_beams, num_children, reward}',
  guided_json: 'structured output is not supported yet',
  guided_regex: 'structured output is not supported yet',
  guided_choice: 'structured output is not supported yet',
  guided_grammar: 'structured output is not supported yet',
  structured_outputs: 'structured output is not supported yet',
  num_candidates: 'it belongs into alignment',
  strategy: 'it belongs into alignment',
  reward: 'it belongs into alignment',
  rewards: 'it belongs into alignment',
  guidance: 'the field is called alignment'
}

/** Sorts out what is not in the schema. @returns the names that are ignored */
function unknownFields (body: Record<string, unknown>): string[] {
  const ignored: string[] = []
  for (const [name, value] of Object.entries(body)) {
    if (Object.hasOwn(chatCompletionSchema.properties, name) || withoutEffect.has(name) || value === null || value === undefined) continue
    const isNeutral = Object.hasOwn(neutral, name) ? neutral[name]! : null
    if (isNeutral?.(value)) continue
    if (isNeutral) throw refuse(name, 'is not supported by this server', value)
    if (Object.hasOwn(otherServers, name)) throw refuse(name, `is not a field here: ${otherServers[name]}`, value)
    if (nearestName(name, ['alignment']) !== null) throw refuse(name, 'is not a field; did you mean alignment?', value)
    ignored.push(name)
  }
  return ignored
}

function biasOf (bias: unknown): Record<number, number> {
  const entries = Object.entries(bias ?? {})
  if (entries.length > 300) throw refuse('logit_bias', 'must hold at most 300 tokens', entries.length)
  for (const [token, value] of entries) {
    if (!/^\d+$/.test(token)) throw refuse('logit_bias', 'must map token ids', token)
    if (typeof value !== 'number' || !(value >= -100 && value <= 100)) throw refuse(`logit_bias.${token}`, 'must be a number from -100 to 100', value)
  }
  return Object.fromEntries(entries) as Record<number, number>
}

function messageOf ({ role, content, name }: ChatCompletionBody['messages'][number]): ChatMessage {
  const text = typeof content === 'string' ? content : content.map(one => one.text).join('')
  return { role: role === 'developer' ? 'system' : role as string, content: text, ...(name === undefined ? {} : { name }) }
}

/** A checked body and what it asks of the inference thread. */
export interface ChatCompletionRequest {
  readonly generate: GenerateRequest
  readonly stream: boolean
  readonly includeUsage: boolean
  readonly returnCandidates: boolean
  /** Top-level fields that nobody knows. */
  readonly ignored: readonly string[]
}

function samplingOf (body: ChatCompletionBody): GenerateRequest['sampling'] {
  if (body.top_logprobs !== null && !body.logprobs) throw refuse('top_logprobs', 'needs logprobs: true', body.top_logprobs)
  return {
    temperature: body.temperature,
    topP: body.top_p,
    topK: Math.max(0, body.top_k),
    minP: body.min_p,
    frequencyPenalty: body.frequency_penalty,
    presencePenalty: body.presence_penalty,
    repetitionPenalty: body.repetition_penalty,
    logitBias: biasOf(body.logit_bias),
    maxTokens: body.max_completion_tokens ?? body.max_tokens,
    minTokens: body.min_tokens,
    stop: typeof body.stop === 'string' ? [body.stop] : body.stop,
    stopTokenIds: body.stop_token_ids,
    ignoreEos: body.ignore_eos,
    topLogprobs: body.logprobs ? body.top_logprobs ?? 0 : null
  }
}

/**
 * Checks a body.
 * @throws RequestError naming the field, the rule and the value
 */
export function parseChatCompletion (value: unknown): ChatCompletionRequest {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('body', 'must be a JSON object', value)
  const given = value as Record<string, unknown>
  const ignored = unknownFields(given)
  const known = Object.fromEntries(Object.entries(given).filter(([name]) => Object.hasOwn(chatCompletionSchema.properties, name)))
  // Free-form objects are checked by those who know them.
  const { alignment, logit_bias: bias, ...rest } = known
  const body = { ...checkFields(chatCompletionSchema, rest, ''), logit_bias: freeObject('logit_bias', bias), alignment: freeObject('alignment', alignment) } as ChatCompletionBody
  if (body.stream_options && !body.stream) throw refuse('stream_options', 'needs stream: true', body.stream_options)
  const parsed = body.alignment === null ? null : parseAlignment(body.alignment)
  return {
    generate: { model: body.model, messages: body.messages.map(messageOf), n: body.n, sampling: samplingOf(body), seed: body.seed, alignment: parsed, cacheSalt: body.cache_salt },
    stream: body.stream,
    includeUsage: body.stream_options?.include_usage ?? false,
    returnCandidates: parsed?.return_candidates ?? false,
    ignored
  }
}

function freeObject (name: string, value: unknown): object | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'object' || Array.isArray(value)) throw new RequestError('invalid_request', `${name} must be an object; got ${JSON.stringify(value)}`, { param: name })
  return value
}
