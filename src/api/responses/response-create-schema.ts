/**
 * The body of `POST /v1/responses`, and of `response.create` over a WebSocket: what it asks of the inference thread and
 * what is kept of it.
 */
import { Type, type Static } from 'typebox'
import { anyObject, nullable } from '../../checker.js'
import { parseAlignment } from '../../decoding/strategies/parse-alignment.js'
import { RequestError } from '../../errors.js'
import type { GenerateRequest, ModelInfo } from '../../serving/protocol.js'
import { checkedRequest } from '../../serving/request-rules.js'
import { refuse } from '../../validation.js'
import type { Catalog } from '../models/model-catalog.js'
import type { ResponseItem } from './response-types.js'
import { openBody } from '../schemas/body.js'
import { itemOf, itemSchema, messagesOfItems, withoutScores } from './item-schema.js'
import { textFormatOf, textSchema } from '../chat/response-format-schema.js'
import { checkHeld, drawingFields, samplingOf } from '../schemas/sampling.js'
import { flatToolChoiceSchema, flatToolsSchema, toolsOf } from '../chat/tool-schema.js'

const logprobs = 'message.output_text.logprobs'

/** What may be asked to be included: logprobs, and OpenAI's names for parts of items that this server never makes. */
const includable = [logprobs, 'reasoning.encrypted_content', 'file_search_call.results', 'web_search_call.results',
  'web_search_call.action.sources', 'message.input_image.image_url', 'computer_call_output.output.image_url',
  'code_interpreter_call.outputs']

export const responseCreateSchema = Type.Object({
  ...drawingFields,
  input: nullable(Type.Union([Type.String({ minLength: 1 }), Type.Array(itemSchema, { maxItems: 4096 })]), {
    default: null,
    description: 'a text of the user, or messages, calls of functions and their results, references to items of ' +
      'stored responses; may be absent with previous_response_id'
  }),
  instructions: nullable(Type.String(),
    { default: null, description: 'a system message before all others, for this response only' }),
  previous_response_id: nullable(Type.String({ maxLength: 128 }),
    { default: null, description: 'go on from what that response read and answered' }),
  max_output_tokens: nullable(Type.Integer({ minimum: 1, maximum: 1 << 20 }),
    { default: null, description: 'maximum tokens to generate; default: the remaining context' }),
  top_logprobs: nullable(Type.Integer({ minimum: 0, maximum: 20 }),
    { default: null, description: 'alternatives per token; more than 0 includes the logprobs' }),
  include: Type.Array(Type.Enum(includable), {
    default: [], maxItems: 16, description: `${logprobs}: how probable the model held each token`
  }),
  truncation: Type.Enum(['auto', 'disabled'], {
    default: 'disabled',
    description: 'auto: where the conversation is longer than the context, its oldest messages are left out'
  }),
  store: Type.Boolean({ default: true, description: 'keep the response for previous_response_id and GET' }),
  background: Type.Boolean({ default: false, description: 'answer at once with status queued and go on; needs store' }),
  stream_options: nullable(Type.Object({ include_obfuscation: Type.Boolean({ default: false }) }),
    { default: null, description: 'without effect; needs stream' }),
  metadata: anyObject({
    default: {},
    maxProperties: 16,
    propertyNames: { type: 'string', maxLength: 64 },
    additionalProperties: Type.String({ maxLength: 512 }),
    description: 'texts by name, given back'
  }),
  text: nullable(textSchema, {
    default: null,
    description: 'format: what the answer is, text, json_object or json_schema with name and schema; see Structured ' +
      'output. verbosity has no effect'
  }),
  tools: nullable(flatToolsSchema,
    { default: null, description: 'functions that the answer may call, at most 128; see Tools' }),
  tool_choice: nullable(flatToolChoiceSchema,
    { default: null, description: 'none, auto, required, or the function that is called; auto where there are tools' }),
  parallel_tool_calls: Type.Boolean({ default: true, description: 'whether an answer may have several calls' }),
  user: nullable(Type.String({ maxLength: 512 }), { default: null, description: 'without effect, given back' }),
  // OpenAI's figures.
  safety_identifier: nullable(Type.String({ maxLength: 64 }),
    { default: null, description: 'without effect, given back' }),
  prompt_cache_key: nullable(Type.String({ maxLength: 64 }),
    { default: null, description: 'without effect, given back' })
})

export type ResponseBody = Static<typeof responseCreateSchema>

/** A checked body and what it asks of the inference thread. */
export interface ResponseRequest {
  readonly body: ResponseBody
  readonly generate: GenerateRequest
  /** The model that answers. */
  readonly model: ModelInfo
  /** What the answer is, as the response tells it. */
  readonly format: object
  /** The whole conversation before the answer, instructions apart. */
  readonly input: readonly ResponseItem[]
  /** Whether the answer may call functions. */
  readonly hasTools: boolean
  readonly stream: boolean
}

/** A request that only reads its conversation, into the prefix cache, for what goes on from it. */
export function readingOnly (request: ResponseRequest): ResponseRequest {
  const { generate } = request
  return {
    ...request,
    generate: {
      ...generate,
      alignment: null,
      grammar: null,
      promptLogprobs: 0,
      sampling: { ...generate.sampling, maxTokens: 0, topLogprobs: null }
    }
  }
}

/** Fields of chat completions, and what to say here. */
const ofChat: Readonly<Record<string, string>> = {
  messages: 'say input',
  prompt: 'say input',
  max_tokens: 'say max_output_tokens',
  max_completion_tokens: 'say max_output_tokens',
  response_format: 'say text.format',
  logprobs: `say include: ["${logprobs}"]`,
  n: 'a response has one answer',
  best_of: 'say alignment: {strategy: "best_of_n", num_candidates, reward}'
}

export const responseCreateBody = openBody(responseCreateSchema, ofChat)

/** What a request may go on from. */
export interface Kept {
  /** What a response read and answered. @throws RequestError if there is no such response */
  response (id: string): Promise<readonly ResponseItem[]>
  /** Items of stored responses, by id; those that are not there are left out. */
  items (ids: ReadonlySet<string>): Promise<ReadonlyMap<string, ResponseItem>>
}

/** @throws RequestError for a reference to an item that is not there */
async function inputOf ({ input }: ResponseBody, kept: Kept): Promise<ResponseItem[]> {
  if (input === null) return []
  if (typeof input === 'string') return [itemOf({ type: 'message', role: 'user', content: input })]
  const named = input.flatMap(item => item.type === 'item_reference' ? [item.id] : [])
  const items = named.length === 0 ? new Map<string, ResponseItem>() : await kept.items(new Set(named))
  const used = new Set<string>()
  return input.map((item, index) => {
    if (item.type !== 'item_reference') return itemOf(item)
    const found = items.get(item.id)
    if (!found) {
      throw new RequestError('not_found', `input[${index}]: an item with id ${JSON.stringify(item.id)} is not found: ` +
        'no stored response has it, or it was deleted or evicted', { param: `input[${index}].id` })
    }
    if (used.has(item.id)) throw refuse(`input[${index}].id`, 'must name an item once', item.id)
    used.add(item.id)
    return withoutScores(found)
  })
}

/** Alternatives to report per token, or null for no logprobs. */
function topLogprobsOf ({ include, top_logprobs: top }: ResponseBody): number | null {
  return top || include.includes(logprobs) ? top ?? 0 : null
}

/**
 * What a checked body asks for.
 * @throws RequestError for fields that contradict each other, and what it goes on from that is not there
 */
export async function parseResponseCreate (
  body: ResponseBody, catalog: Catalog, kept: Kept
): Promise<ResponseRequest> {
  const { model, alignment } = catalog.choose(body.model, body.alignment)
  if (body.background && !body.store) throw refuse('background', 'needs store: true', true)
  const before = body.previous_response_id === null ? [] : await kept.response(body.previous_response_id)
  const input = [...before, ...await inputOf(body, kept)]
  if (input.length === 0) throw refuse('input', 'must hold at least one item', body.input)
  const { format, grammar: held } = textFormatOf(body.text)
  const { tools, grammar: calls } = toolsOf(body, model.callForm)
  if (held && calls) throw refuse('tools', 'cannot be given with text.format, unless tool_choice is none', body.tools)
  const grammar = held ?? calls
  checkHeld(body, grammar)
  const instructions = body.instructions ? [{ role: 'system', content: body.instructions }] : []
  return {
    body,
    generate: checkedRequest({
      model: model.id,
      prompt: {
        messages: [...instructions, ...messagesOfItems(input)],
        tools,
        addGenerationPrompt: true,
        continueFinalMessage: false,
        truncate: body.truncation === 'auto'
      },
      promptLogprobs: null,
      bestOf: null,
      n: 1,
      sampling: samplingOf(body, body.max_output_tokens, topLogprobsOf(body)),
      skipSpecialTokens: body.skip_special_tokens,
      seed: body.seed,
      alignment: alignment === null ? null : parseAlignment(alignment),
      cacheSalt: body.cache_salt,
      priority: body.priority,
      grammar
    }),
    model,
    format,
    input,
    hasTools: calls !== null,
    stream: body.stream
  }
}
