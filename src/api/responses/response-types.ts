/** OpenAI's responses as Fairlead answers them. */
import { Type, type Static } from 'typebox'
import { anyObject } from '../../checker.js'
import {
  alignmentDetailsObject, alignmentReportObject, choiceAlignmentObject, listOf, orNull
} from '../alignment/alignment-types.js'
import { logprobsList } from '../chat/chat-types.js'

const textObject = Type.Object({
  type: Type.Enum(['input_text', 'output_text']),
  text: Type.String(),
  annotations: Type.Optional(listOf(Type.Never(), 'of the model’s, always empty: this server cites nothing')),
  logprobs: Type.Optional(logprobsList)
})
/** A text of a message in a response; `output_text` is the model's. */
export type ResponseText = Static<typeof textObject>

const itemStatus = Type.Enum(['in_progress', 'completed', 'incomplete'])
const alignment = Type.Optional(choiceAlignmentObject)

const messageObject = Type.Object({
  id: Type.String(),
  type: Type.Literal('message'),
  role: Type.Enum(['system', 'developer', 'user', 'assistant']),
  // `incomplete` is an answer that reached its longest length.
  status: itemStatus,
  content: listOf(textObject),
  alignment
})
/** A message that a response read or wrote. */
export type ResponseMessage = Static<typeof messageObject>

const callObject = Type.Object({
  id: Type.String(),
  type: Type.Literal('function_call'),
  status: itemStatus,
  call_id: Type.String({ description: 'what the result names' }),
  name: Type.String(),
  arguments: Type.String({ description: 'JSON; cut off where the answer was' }),
  alignment
})
/** A call of a function that a response wrote, or read. */
export type ResponseCall = Static<typeof callObject>

const callResultObject = Type.Object({
  id: Type.String(),
  type: Type.Literal('function_call_output'),
  status: itemStatus,
  call_id: Type.String(),
  output: Type.String()
})
/** The result of a call. */
export type ResponseCallResult = Static<typeof callResultObject> & { readonly alignment?: never }

/** What a response wrote, the last of them with the answer's `alignment`. */
export type ResponseOutputItem = ResponseMessage | ResponseCall

/** What a response read. */
export type ResponseItem = ResponseOutputItem | ResponseCallResult

export const itemList = Type.Object({
  object: Type.Literal('list'),
  data: listOf(Type.Union([messageObject, callObject, callResultObject])),
  first_id: orNull(Type.String()),
  last_id: orNull(Type.String()),
  has_more: Type.Boolean()
})

const status = Type.Enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled'])
/** What becomes of a response; the last four are final. */
export type ResponseStatus = Static<typeof status>

const usageObject = Type.Object({
  input_tokens: Type.Integer(),
  input_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
  output_tokens: Type.Integer(),
  output_tokens_details: Type.Object({ reasoning_tokens: Type.Integer() }),
  total_tokens: Type.Integer(),
  alignment_details: alignmentDetailsObject
})
/** `usage` of a response, in OpenAI's newer names. */
export type ResponseUsage = Static<typeof usageObject>

const response = Type.Object({
  id: Type.String(),
  object: Type.Literal('response'),
  created_at: Type.Integer({ description: 'seconds since the epoch' }),
  completed_at: orNull(Type.Integer()),
  status,
  store: Type.Boolean({ description: 'false too where there was no room to keep it' }),
  model: Type.String(),
  system_fingerprint: Type.String(),
  error: orNull(Type.Object({ code: Type.String(), message: Type.String() })),
  incomplete_details: orNull(Type.Object({ reason: Type.Literal('max_output_tokens') })),
  output: listOf(Type.Union([messageObject, callObject])),
  usage: orNull(usageObject),
  dropped_messages: Type.Optional(Type.Integer({ description: 'that truncation: "auto" left out' })),
  alignment: Type.Optional(alignmentReportObject)
})
/** A response, as OpenAI has it; beside these, fields of the request are given back. */
export type ResponseObject = Static<typeof response>

export const responseObject = Type.Object({
  ...response.properties,
  background: Type.Boolean(),
  instructions: orNull(Type.String()),
  max_output_tokens: orNull(Type.Integer()),
  metadata: anyObject(),
  parallel_tool_calls: Type.Boolean(),
  previous_response_id: orNull(Type.String()),
  temperature: Type.Number(),
  top_p: Type.Number(),
  top_logprobs: Type.Integer(),
  truncation: Type.Enum(['auto', 'disabled'])
})

/** An event of a streamed response. */
export interface ResponseEvent {
  readonly type: string
  /** From 0 up. */
  readonly sequence_number: number
}
