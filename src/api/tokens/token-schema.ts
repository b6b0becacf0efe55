/**
 * What `POST /tokenize` and `/detokenize` take and answer, in vLLM's shapes, and the body of `POST /v1/embeddings`, in
 * OpenAI's.
 */
import { Type, type Static } from 'typebox'
import { Checker, nullable } from '../../checker.js'
import type { DetokenizeRequest, EmbedRequest } from '../../serving/calls.js'
import type { ModelInfo, PromptInput } from '../../serving/protocol.js'
import { refuse } from '../../validation.js'
import { listOf, orNull } from '../alignment/alignment-types.js'
import type { Catalog } from '../models/model-catalog.js'
import { openBody } from '../schemas/body.js'
import { chatFields, chatPromptOf } from '../chat/chat-completion-schema.js'
import { promptSchema, promptsOf } from '../schemas/prompt-schema.js'
import { toldTools, toolsSchema } from '../chat/tool-schema.js'

const { messages, ...ending } = chatFields
const optionalModel = nullable(Type.String({ minLength: 1 }),
  { default: null, description: 'id of a model in GET /v1/models; default the first' })

const tokenizeSchema = Type.Object({
  model: optionalModel,
  prompt: Type.Optional(Type.String({ description: 'a text, or messages' })),
  messages: Type.Optional(messages),
  add_special_tokens: Type.Boolean({
    default: true, description: 'begin text with the model’s beginning token, where it has one'
  }),
  ...ending,
  tools: nullable(toolsSchema, { default: null, description: 'functions that the model is told of beside messages' }),
  return_token_strs: Type.Boolean({ default: false, description: 'add the text that each token is written with' })
})

const detokenizeSchema = Type.Object({
  model: optionalModel,
  tokens: Type.Array(Type.Integer({ minimum: 0 }), { description: 'token ids' })
})

/** The query string of `/tokenizer_info`. */
const tokenizerQuerySchema = Type.Object({ model: optionalModel })
export const tokenizerQuery = new Checker(tokenizerQuerySchema)

const embeddingsSchema = Type.Object({
  model: Type.String({ minLength: 1, description: 'id of a model in GET /v1/models' }),
  // OpenAI's figure.
  input: promptSchema(2048),
  encoding_format: Type.Enum(['float', 'base64'],
    { default: 'float', description: 'base64 is of little-endian 32-bit floats' }),
  cache_salt: Type.String({ default: '', maxLength: 256 })
})

export const tokenizeBody = openBody(tokenizeSchema)
export const detokenizeBody = openBody(detokenizeSchema)
export const embeddingsBody = openBody(embeddingsSchema)
export type TokenizeBody = Static<typeof tokenizeSchema>
export type DetokenizeBody = Static<typeof detokenizeSchema>
export type TokenizerQuery = Static<typeof tokenizerQuerySchema>
export type EmbeddingsBody = Static<typeof embeddingsSchema>

export const tokenizeObject = Type.Object({
  count: Type.Integer(),
  max_model_len: Type.Integer(),
  tokens: listOf(Type.Integer()),
  token_strs: Type.Optional(listOf(Type.String()))
})
export const detokenizeObject = Type.Object({ prompt: Type.String() })
export const tokenizerInfoObject = Type.Object({
  bos_token: orNull(Type.String()),
  eos_token: orNull(Type.String()),
  pad_token: Type.Null(),
  model_max_length: Type.Integer(),
  chat_template: Type.Union([Type.String(), Type.Null()])
})

/** What a body of `/tokenize` asks for. */
export interface TokenizeRequest {
  readonly model: ModelInfo
  readonly prompt: PromptInput
  readonly withTexts: boolean
}

const modelOf = (catalog: Catalog, name: string | null): ModelInfo =>
  name === null ? catalog.default : catalog.find(name)

/** @throws RequestError naming the field, the rule and the value */
export function parseTokenize (body: TokenizeBody, catalog: Catalog): TokenizeRequest {
  if ((body.prompt === undefined) === (body.messages === undefined)) {
    throw refuse('prompt', 'or messages must be given, and not both', body.prompt ?? null)
  }
  if (body.prompt !== undefined && body.tools !== null) {
    throw refuse('tools', 'needs messages: a prompt that is text tells of them itself', body.tools)
  }
  const prompt = body.messages === undefined
    ? { text: body.prompt!, addSpecialTokens: body.add_special_tokens }
    : { ...chatPromptOf({ ...body, messages: body.messages }), tools: toldTools(body.tools) }
  return { model: modelOf(catalog, body.model), prompt, withTexts: body.return_token_strs }
}

/** @throws RequestError for a model that is not there */
export const parseDetokenize = ({ model, tokens }: DetokenizeBody, catalog: Catalog): DetokenizeRequest =>
  ({ model: modelOf(catalog, model).id, tokens })

/** The model that a query is about. @throws RequestError for one that is not there */
export const parseTokenizerQuery = ({ model }: TokenizerQuery, catalog: Catalog): ModelInfo => modelOf(catalog, model)

/** What a checked body of `/v1/embeddings` asks for. */
export function parseEmbeddings (body: EmbeddingsBody): EmbedRequest & { readonly asBase64: boolean } {
  return {
    model: body.model,
    inputs: promptsOf(body.input, true),
    cacheSalt: body.cache_salt,
    asBase64: body.encoding_format === 'base64'
  }
}
