/** OpenAI's chat objects as Fairlead reads and answers them. */
import { Type, type Static } from 'typebox'
import { anyObject } from '../../checker.js'
import type { Entry } from '../../journal/entries.js'
import type { chatCompletionSchema } from './chat-completion-schema.js'
import {
  alignmentDetailsObject, alignmentProgressObject, alignmentReportObject, choiceAlignmentObject, listOf, orNull,
  type AlignmentParams
} from '../alignment/alignment-types.js'
import type { Given, Loose } from '../schemas/optional-fields.js'

type ChatFields = Static<typeof chatCompletionSchema>

/** `response_format`: what an answer is held to. */
export type ResponseFormat = Given<NonNullable<ChatFields['response_format']>>

/** A function that an answer may call. */
export type FunctionTool = Given<NonNullable<ChatFields['tools']>[number]>

/**
 * A request for an answer: the body of `POST /v1/chat/completions`. docs/api.md says what each field means.
 * @interface
 */
export type ChatRequest = Omit<Loose<ChatFields>, 'messages' | 'model' | 'alignment' | 'tools' | 'response_format'> & {
  readonly messages: Given<ChatFields['messages']>
  /** Id of the model, or `model:profile`. */
  readonly model: string
  /** What the answer is: docs/structured-output.md. */
  readonly response_format?: ResponseFormat | null
  /** Functions that the answer may call: docs/structured-output.md. */
  readonly tools?: readonly FunctionTool[] | null
  readonly alignment?: AlignmentParams | null
}

export const usageObject = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({
    cached_tokens: Type.Integer({ description: 'prompt tokens whose KV was there' })
  }),
  completion_tokens_details: Type.Optional(Type.Object({
    accepted_prediction_tokens: Type.Integer(), rejected_prediction_tokens: Type.Integer()
  }, { description: 'of answers whose tokens were guessed ahead' })),
  alignment_details: alignmentDetailsObject
})
/** OpenAI's `usage` with the ledger of guidance. */
export type Usage = Static<typeof usageObject>

const ratedToken = {
  token: Type.String(),
  logprob: Type.Number({ description: 'under the model itself: temperature 1, before penalties' }),
  bytes: Type.Array(Type.Integer(), { description: 'UTF-8; part of a character, maybe' })
}
const ratedTokenObject = Type.Object(ratedToken)
/** A token and its logprob. */
export type RatedToken = Static<typeof ratedTokenObject>

export const logprobsList = Type.Array(Type.Object({ ...ratedToken, top_logprobs: Type.Array(ratedTokenObject) }))
const logprobsObject = Type.Object({ content: logprobsList, refusal: Type.Null() })
/** Logprobs of an answer's tokens, with `logprobs: true`. */
export type ChoiceLogprobs = Static<typeof logprobsObject>

const toolCallObject = Type.Object({
  id: Type.String(),
  type: Type.Literal('function'),
  function: Type.Object({
    name: Type.String(), arguments: Type.String({ description: 'JSON; cut off where the answer was' })
  })
})
/** A call of a function. */
export type ToolCall = Static<typeof toolCallObject>

const toolCallDelta = Type.Object({
  index: Type.Integer(),
  id: Type.Optional(Type.String()),
  type: Type.Optional(Type.Literal('function')),
  function: Type.Object({ name: Type.Optional(Type.String()), arguments: Type.String() })
})
/** What a chunk adds to a call: its id and name first, then its arguments. */
export type ToolCallDelta = Static<typeof toolCallDelta>

const choiceFields = {
  index: Type.Integer(),
  logprobs: orNull(logprobsObject),
  alignment: Type.Optional(choiceAlignmentObject),
  token_ids: Type.Optional(listOf(Type.Integer(), 'with return_token_ids'))
}
const finishReason = Type.Enum(['stop', 'length', 'tool_calls'])

const chatChoiceObject = Type.Object({
  ...choiceFields,
  message: Type.Object({
    role: Type.Literal('assistant'),
    content: orNull(Type.String()),
    refusal: Type.Null(),
    tool_calls: Type.Optional(Type.Array(toolCallObject))
  }),
  finish_reason: finishReason
})
/** One returned answer. */
export type ChatChoice = Static<typeof chatChoiceObject>

/** What completions begin with. */
export const completionHead = {
  id: Type.String(),
  created: Type.Integer({ description: 'seconds since the epoch' }),
  model: Type.String(),
  system_fingerprint: Type.String({ description: 'names build, model, format, instruction set and thread count' })
}
const promptTokenIds = Type.Optional(listOf(Type.Integer(), 'with return_token_ids'))

export const chatCompletionObject = Type.Object({
  ...completionHead,
  object: Type.Literal('chat.completion'),
  choices: Type.Array(chatChoiceObject),
  usage: usageObject,
  alignment: Type.Optional(alignmentReportObject),
  prompt_token_ids: promptTokenIds
})
/** A whole answer, as OpenAI has it. */
export type ChatCompletion = Static<typeof chatCompletionObject>

const chunkChoiceObject = Type.Object({
  ...choiceFields,
  delta: Type.Object({
    role: Type.Optional(Type.Literal('assistant')),
    content: Type.Optional(Type.String()),
    tool_calls: Type.Optional(Type.Array(toolCallDelta))
  }),
  finish_reason: orNull(finishReason)
})
/** What a chunk adds to a choice. */
export type ChunkChoice = Static<typeof chunkChoiceObject>

const journalEntries = Type.Optional(Type.Unsafe<readonly Entry[]>(
  Type.Array(anyObject(), { description: 'with include_journal: entries of the journal, on chunks of their own' })))

export const chatChunkObject = Type.Object({
  ...completionHead,
  object: Type.Literal('chat.completion.chunk'),
  choices: Type.Array(chunkChoiceObject),
  // On the last chunk with `stream_options: {include_usage: true}`, null on those before it.
  usage: Type.Optional(orNull(usageObject)),
  alignment: Type.Optional(Type.Union([alignmentReportObject, alignmentProgressObject])),
  journal: journalEntries,
  prompt_token_ids: promptTokenIds
})
/**
 * A piece of an answer, as OpenAI has it. Guided requests carry their `alignment` on the chunks with a finish_reason.
 */
export type ChatCompletionChunk = Static<typeof chatChunkObject>
