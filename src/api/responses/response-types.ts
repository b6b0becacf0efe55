/** OpenAI's responses as Fairlead answers them. Types only. */
import type { AlignmentDetails, AlignmentReport, ChoiceAlignment } from '../alignment/alignment-types.js'
import type { ChoiceLogprobs } from '../chat/chat-types.js'

/** A text of a message in a response; `output_text` is the model's. */
export interface ResponseText {
  readonly type: 'input_text' | 'output_text'
  readonly text: string
  /** Of the model's, always empty: this server cites nothing. */
  readonly annotations?: readonly never[]
  /** Of the model's, empty where they were not asked for. */
  readonly logprobs?: ChoiceLogprobs['content']
}

/** A message that a response read or wrote. */
export interface ResponseMessage {
  readonly id: string
  readonly type: 'message'
  readonly role: 'system' | 'developer' | 'user' | 'assistant'
  /** `incomplete` is an answer that reached its longest length. */
  readonly status: 'in_progress' | 'completed' | 'incomplete'
  readonly content: readonly ResponseText[]
  /** Of guided answers. */
  readonly alignment?: ChoiceAlignment
}

/** A call of a function that a response wrote, or read. */
export interface ResponseCall {
  readonly id: string
  readonly type: 'function_call'
  /** `incomplete` is one that was cut off. */
  readonly status: ResponseMessage['status']
  /** What the result names. */
  readonly call_id: string
  readonly name: string
  /** JSON; cut off where the answer was. */
  readonly arguments: string
  /** Of guided answers. */
  readonly alignment?: ChoiceAlignment
}

/** The result of a call. */
export interface ResponseCallResult {
  readonly id: string
  readonly type: 'function_call_output'
  readonly status: ResponseMessage['status']
  readonly call_id: string
  readonly output: string
  readonly alignment?: never
}

/** What a response wrote, the last of them with the answer's `alignment`. */
export type ResponseOutputItem = ResponseMessage | ResponseCall

/** What a response read. */
export type ResponseItem = ResponseOutputItem | ResponseCallResult

/** What becomes of a response; the last four are final. */
export type ResponseStatus = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled'

/** `usage` of a response, in OpenAI's newer names. */
export interface ResponseUsage {
  readonly input_tokens: number
  readonly input_tokens_details: { readonly cached_tokens: number }
  readonly output_tokens: number
  readonly output_tokens_details: { readonly reasoning_tokens: number }
  readonly total_tokens: number
  readonly alignment_details: AlignmentDetails
}

/** A response, as OpenAI has it; beside these, fields of the request are given back. */
export interface ResponseObject {
  readonly id: string
  readonly object: 'response'
  /** Seconds since the epoch. */
  readonly created_at: number
  readonly completed_at: number | null
  readonly status: ResponseStatus
  readonly model: string
  readonly system_fingerprint: string
  readonly error: { readonly code: string, readonly message: string } | null
  readonly incomplete_details: { readonly reason: 'max_output_tokens' } | null
  readonly output: readonly ResponseOutputItem[]
  readonly usage: ResponseUsage | null
  /** Messages that `truncation: "auto"` left out. */
  readonly dropped_messages?: number
  /** Of guided requests. */
  readonly alignment?: AlignmentReport
}

/** An event of a streamed response. */
export interface ResponseEvent {
  readonly type: string
  /** From 0 up. */
  readonly sequence_number: number
}
