/** OpenAI's chat objects as Fairlead reads and answers them. Types only. */
import type { Static } from 'typebox'
import type { FinishReason } from '../../policies/transcript.js'
import type { chatCompletionSchema } from './chat-completion-schema.js'
import type {
  AlignmentDetails, AlignmentParams, AlignmentProgress, AlignmentReport, ChoiceAlignment
} from '../alignment/alignment-types.js'
import type { Loose } from '../schemas/loose.js'

type ChatFields = Static<typeof chatCompletionSchema>

/** `response_format`: what an answer is held to. */
export type ResponseFormat =
  | { readonly type: 'text' | 'json_object' }
  | {
    readonly type: 'json_schema',
    readonly json_schema: {
      readonly name: string, readonly description?: string, readonly schema?: object, readonly strict?: boolean | null
    }
  }

/** A function that an answer may call. */
export interface FunctionTool {
  readonly type: 'function'
  readonly function: {
    readonly name: string, readonly description?: string, readonly parameters?: object, readonly strict?: boolean | null
  }
}

/**
 * A request for an answer: the body of `POST /v1/chat/completions`. docs/api.md says what each field means.
 * @interface
 */
export type ChatRequest = Omit<Loose<ChatFields>, 'messages' | 'model' | 'alignment' | 'logit_bias' | 'stop' | 'tools'
  | 'tool_choice' | 'response_format'> & {
    readonly messages: ReadonlyArray<Readonly<ChatFields['messages'][number]>>
    /** Id of the model, or `model:profile`. */
    readonly model: string
    /** At most 4 texts that end the answer. */
    readonly stop?: string | readonly string[] | null
    /** What the answer is: docs/structured-output.md. */
    readonly response_format?: ResponseFormat | null
    /** Functions that the answer may call: docs/structured-output.md. */
    readonly tools?: readonly FunctionTool[] | null
    readonly tool_choice?: 'none' | 'auto' | 'required'
    | { readonly type: 'function', readonly function: { readonly name: string } } | null
    /** Token id → −100 to 100. */
    readonly logit_bias?: Readonly<Record<string, number>> | null
    readonly alignment?: AlignmentParams | null
  }

/** OpenAI's `usage` with the ledger of guidance. */
export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
  readonly prompt_tokens_details: {
    /** Prompt tokens whose KV was there. */
    readonly cached_tokens: number
  }
  /** Of answers whose tokens were guessed ahead. */
  readonly completion_tokens_details?: {
    readonly accepted_prediction_tokens: number
    readonly rejected_prediction_tokens: number
  }
  readonly alignment_details: AlignmentDetails
}

/** A token and its logprob under the model itself: temperature 1, before penalties. */
export interface RatedToken {
  readonly token: string
  readonly logprob: number
  /** UTF-8; part of a character, maybe. */
  readonly bytes: number[]
}

/** Logprobs of an answer's tokens, with `logprobs: true`. */
export interface ChoiceLogprobs {
  readonly content: Array<RatedToken & { readonly top_logprobs: RatedToken[] }>
  readonly refusal: null
}

/** A call of a function. */
export interface ToolCall {
  readonly id: string
  readonly type: 'function'
  /** `arguments` is JSON; cut off where the answer was. */
  readonly function: { readonly name: string, readonly arguments: string }
}

/** What a chunk adds to a call: its id and name first, then its arguments. */
export interface ToolCallDelta {
  readonly index: number
  readonly id?: string
  readonly type?: 'function'
  readonly function: { readonly name?: string, readonly arguments: string }
}

/** One returned answer. */
export interface ChatChoice {
  readonly index: number
  readonly message: {
    readonly role: 'assistant',
    readonly content: string | null,
    readonly refusal: null,
    readonly tool_calls?: ToolCall[]
  }
  readonly logprobs: ChoiceLogprobs | null
  readonly finish_reason: FinishReason | 'tool_calls'
  /** Of guided requests. */
  readonly alignment?: ChoiceAlignment
  /** With `return_token_ids`. */
  readonly token_ids?: readonly number[]
}

/** What all chat objects begin with. */
interface ChatHead {
  readonly id: string
  /** Seconds since the epoch. */
  readonly created: number
  readonly model: string
  /** Names build, model, format, instruction set and thread count. */
  readonly system_fingerprint: string
}

/** A whole answer, as OpenAI has it. */
export interface ChatCompletion extends ChatHead {
  readonly object: 'chat.completion'
  readonly choices: ChatChoice[]
  readonly usage: Usage
  /** Of guided requests. */
  readonly alignment?: AlignmentReport
  /** With `return_token_ids`. */
  readonly prompt_token_ids?: readonly number[]
}

/** What a chunk adds to a choice. */
export interface ChunkChoice {
  readonly index: number
  readonly delta: { readonly role?: 'assistant', readonly content?: string, readonly tool_calls?: ToolCallDelta[] }
  readonly logprobs: ChoiceLogprobs | null
  readonly finish_reason: FinishReason | 'tool_calls' | null
  readonly alignment?: ChoiceAlignment
  readonly token_ids?: readonly number[]
}

/**
 * A piece of an answer, as OpenAI has it. Guided requests carry their `alignment` on the chunks with a finish_reason.
 */
export interface ChatCompletionChunk extends ChatHead {
  readonly object: 'chat.completion.chunk'
  readonly choices: ChunkChoice[]
  /** On the last chunk with `stream_options: {include_usage: true}`, null on those before it. */
  readonly usage?: Usage | null
  readonly alignment?: AlignmentReport | AlignmentProgress
  readonly prompt_token_ids?: readonly number[]
}
