/**
 * What callers send and get, as TypeScript types: OpenAI's chat objects as Fairlead answers them, and the fields of its own. Types only; what
 * is sent follows from the schemas that check it.
 */
import type { Static } from 'typebox'
import type { FinishReason, KlReport, ProgressCandidate, StoppedBy, Warning } from '../decoding/runtime.js'
import type { ParametersOf, StrategyName } from '../decoding/strategy-schemas.js'
import type { GenerationStart } from '../inference/protocol.js'
import type { chatCompletionSchema } from './schemas/chat-completion.js'
import type { rewardFitSchema } from './schemas/reward-fit.js'
import type { rewardScoreSchema } from './schemas/reward-score.js'

/** Fields of an object, any of which may be left out or null where the server has a default. */
type Loose<T> = T extends ReadonlyArray<infer E> ? ReadonlyArray<Loose<E>> : T extends object ? { readonly [K in keyof T]?: Loose<T[K]> | null | undefined } : T

/** A reward and its weight in the sum that steers. */
export interface WeightedReward {
  /** Name of a reward, as `GET /v1/rewards` lists it. */
  readonly name: string
  /** −1000 to 1000, default 1; a negative weight asks for the opposite. */
  readonly weight?: number | undefined
}

/** Parameters of one strategy, as a request gives them. docs/strategies.md says what each means. */
export type StrategyParams<N extends StrategyName> = Loose<Omit<ParametersOf<N>, 'rewards'>> & {
  /** Short for `rewards` with one of weight 1. */
  readonly reward?: string | null
  readonly rewards?: readonly WeightedReward[] | null
}

/** The `alignment` field of a request: how the answer is steered. Without `strategy` it is `best_of_n`. */
export type AlignmentParams =
  | { [N in StrategyName]: { readonly strategy: N } & StrategyParams<N> }[StrategyName]
  | { readonly strategy?: null } & StrategyParams<'best_of_n'>

type ChatFields = Static<typeof chatCompletionSchema>

/** `response_format`: what an answer is held to. */
export type ResponseFormat =
  | { readonly type: 'text' | 'json_object' }
  | { readonly type: 'json_schema', readonly json_schema: { readonly name: string, readonly description?: string, readonly schema?: object, readonly strict?: boolean | null } }

/** A function that an answer may call. */
export interface FunctionTool {
  readonly type: 'function'
  readonly function: { readonly name: string, readonly description?: string, readonly parameters?: object, readonly strict?: boolean | null }
}

/** A request for an answer: the body of `POST /v1/chat/completions`. docs/api.md says what each field means. @interface */
export type ChatRequest = Omit<Loose<ChatFields>, 'messages' | 'model' | 'alignment' | 'logit_bias' | 'stop' | 'tools' | 'tool_choice' | 'response_format'> & {
  readonly messages: ReadonlyArray<Readonly<ChatFields['messages'][number]>>
  /** Id of the model, or `model:profile`. */
  readonly model: string
  /** At most 4 texts that end the answer. */
  readonly stop?: string | readonly string[] | null
  /** What the answer is: docs/structured-output.md. */
  readonly response_format?: ResponseFormat | null
  /** Functions that the answer may call: docs/structured-output.md. */
  readonly tools?: readonly FunctionTool[] | null
  readonly tool_choice?: 'none' | 'auto' | 'required' | { readonly type: 'function', readonly function: { readonly name: string } } | null
  /** Token id → −100 to 100. */
  readonly logit_bias?: Readonly<Record<string, number>> | null
  readonly alignment?: AlignmentParams | null
}

/** A request for scores of given answers: the body of `POST /v1/rewards/score`. @interface */
export type ScoreBody = Readonly<Omit<Static<typeof rewardScoreSchema>, 'reward_scale' | 'rewards' | 'input'>> & {
  readonly rewards?: readonly WeightedReward[]
  readonly reward_scale?: 'standardized' | 'raw'
  /** Pairs of prompt and answer, or conversations; at most 1024. */
  readonly input: ReadonlyArray<Readonly<Static<typeof rewardScoreSchema>['input'][number]>>
}

/** Examples to fit a reward on: the body of `POST /v1/rewards/fit`, feedback apart, which servers keep. @interface */
export type FitBody = Loose<Omit<Static<typeof rewardFitSchema>, 'stream' | 'feedback' | 'name' | 'examples' | 'test'>> & {
  /** What requests call the reward: lower-case letters, digits, _ and -. */
  readonly name: string
  /** At least 20, all of one kind: pairs, labelled answers or scored answers. */
  readonly examples: readonly FitExample[]
  /** Held out; default a fifth of the prompts. */
  readonly test?: readonly FitExample[]
}

/** An example of what a reward is to prefer, labelled or scored; with `prompt`, or `messages`, or neither for a text of its own. */
export type FitExample = Readonly<NonNullable<Static<typeof rewardFitSchema>['examples']>[number]>

/** One reward's score of one answer. */
export interface RewardValue {
  /** As the reward computes it. */
  readonly raw: number
  /** (raw − mean) / standard deviation of the policy's own answers. */
  readonly standardized: number
  /** Of an ensemble: standard deviation over its scorers. */
  readonly std?: number
  /** Of a judge of steps: how probably each is right. */
  readonly steps?: readonly number[]
}

/** A score, where a reward was asked for. */
export interface ScoreFields {
  /** Σ weight · score over the rewards of the request: what steers. */
  readonly reward?: number
  /** By name of the reward. */
  readonly rewards?: Readonly<Record<string, RewardValue>>
}

/** `choices[i].alignment`: how a returned answer was found. */
export interface ChoiceAlignment extends ScoreFields {
  /** Which of the candidates it was. */
  readonly candidate_index: number
  /** Σ ln π of its tokens, nats. */
  readonly logprob: number
}

/** A candidate, chosen or not. */
export interface Candidate extends ScoreFields {
  readonly index: number
  /** Index of the candidate it was forked from. */
  readonly parent?: number
  readonly text: string
  /** Tokens drawn for it. */
  readonly tokens: number
  readonly finish_reason: FinishReason | null
  /** Step or token at which it was dropped. */
  readonly pruned_at?: number
  /** Σ ln π of its tokens, nats. */
  readonly logprob: number
}

/** `alignment` of a response: what was asked for in full, and what came of it. */
export interface AlignmentReport {
  readonly strategy: string
  /** All parameters in force. */
  readonly resolved: Readonly<Record<string, unknown>>
  readonly rewards_used: GenerationStart['rewardsUsed']
  /** Same seed and `system_fingerprint`, same tokens. */
  readonly seed: number
  /** KL of the answer's distribution to the policy, nats, and what kind of figure it is. */
  readonly kl: KlReport
  /** Distinct texts among the candidates. */
  readonly num_unique: number
  /** Which soft limit ended the search. */
  readonly stopped_by: StoppedBy
  readonly warnings: readonly Warning[]
  /** What only this strategy knows. */
  readonly details?: Readonly<Record<string, unknown>>
  /** With `return_candidates` or `return_trace`. */
  readonly candidates?: readonly Candidate[]
  /** With `return_trace`: after each step the indices of the candidates kept and dropped, with their rewards. */
  readonly trace?: ReadonlyArray<{
    readonly step: number
    readonly kept: ReadonlyArray<readonly [index: number, reward: number | null]>
    readonly dropped: ReadonlyArray<readonly [index: number, reward: number | null]>
  }>
}

/** `usage.alignment_details`: what the answer took, tokens. Generated = returned + discarded. */
export interface AlignmentDetails {
  readonly generated_tokens: number
  readonly returned_tokens: number
  readonly discarded_tokens: number
  /** Read only to score. */
  readonly reward_tokens: number
  readonly reward_cached_tokens: number
  /** Of the prompt, run through the model. */
  readonly computed_prompt_tokens: number
  readonly forward_passes: number
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
  readonly message: { readonly role: 'assistant', readonly content: string | null, readonly refusal: null, readonly tool_calls?: ToolCall[] }
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

/** With `return_progress`: the candidates of a search as one of its steps left them. */
export interface AlignmentProgress {
  readonly progress: { readonly step: number, readonly candidates: readonly ProgressCandidate[] }
}

/** A piece of an answer, as OpenAI has it. Guided requests carry their `alignment` on the chunks with a finish_reason. */
export interface ChatCompletionChunk extends ChatHead {
  readonly object: 'chat.completion.chunk'
  readonly choices: ChunkChoice[]
  /** On the last chunk with `stream_options: {include_usage: true}`, null on those before it. */
  readonly usage?: Usage | null
  readonly alignment?: AlignmentReport | AlignmentProgress
  readonly prompt_token_ids?: readonly number[]
}

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

/** The score of one given answer. */
export interface RewardScore extends Required<ScoreFields> {
  readonly index: number
  readonly object: 'reward_score'
  /** Of the answer. */
  readonly tokens: number
  /** With `every`: scores of its prefixes, shortest first. */
  readonly prefixes?: ReadonlyArray<Required<ScoreFields> & { readonly tokens: number, readonly text: string }>
}

/** Scores of given answers, in their order. */
export interface RewardScores {
  readonly object: 'list'
  readonly model: string
  readonly rewards_used: GenerationStart['rewardsUsed']
  readonly data: readonly RewardScore[]
  readonly warnings: readonly Warning[]
  readonly usage: Omit<Usage, 'completion_tokens' | 'alignment_details'> & {
    /** Of prompts and answers, run through the model. */
    readonly computed_tokens: number
  }
}
