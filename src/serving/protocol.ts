/**
 * A generation as it crosses between the main thread and the inference thread: the request, its events, what it used.
 * Plain data. Other questions are in `calls.ts`, the messages that carry both in `messages.ts`.
 */
import type { DecodeEvent } from '../decoding/events.js'
import type { AlignmentRequest } from '../decoding/strategies/strategy-schemas.js'
import type { GrammarSource } from '../grammar/grammar-source.js'
import type { CallForm } from '../models/tokenizer/tool-call-format.js'
import type { OperatorReport } from '../models/self-test/choose-operators.js'
import type { TokenLogprob } from '../policies/drawn-token.js'
import type { EngineReport } from '../policies/remote/remote-engine.js'
import type { SamplingParams } from '../policies/sampling-params.js'
import type { ChatMessage, RewardMember } from '../rewards/scorer.js'

/** Messages, rendered by the model's template. */
export interface ChatPrompt {
  readonly messages: readonly ChatMessage[]
  /** Whether the prompt ends with the opening of the assistant's turn. */
  readonly addGenerationPrompt: boolean
  /** Whether the answer goes on from the last message's text; then no turn is opened. */
  readonly continueFinalMessage: boolean
  /** Functions offered to the model, in OpenAI's format. */
  readonly tools?: readonly object[]
  /** Whether the oldest messages are left out where the conversation is longer than the context. */
  readonly truncate: boolean
}

/** Text as it is, in which texts of control tokens stand for control tokens. */
export interface TextPrompt {
  readonly text: string
  /** Whether the model's beginning token comes first, where its file asks for one. */
  readonly addSpecialTokens: boolean
}

export type PromptInput = ChatPrompt | TextPrompt | { readonly tokens: readonly number[] }

/** A request as the inference thread takes it: its fields are checked, its length and its rewards' names not yet. */
export interface GenerateRequest {
  /** Its name, without a profile's. */
  readonly model: string
  readonly prompt: PromptInput
  /** Alternatives to report per token of the prompt, 0–20, or null for no logprobs of the prompt. */
  readonly promptLogprobs: number | null
  /** Number of choices, 1–128. */
  readonly n: number
  /** Answers drawn, of which the n with the highest mean token logprob are returned; null draws n. */
  readonly bestOf: number | null
  /** `maxTokens: null` means: as many as context and ceiling allow; 0: the prompt is read and nothing is drawn. */
  readonly sampling: Omit<SamplingParams, 'maxTokens'> & { readonly maxTokens: number | null }
  /** Whether control tokens in an answer, those that end it apart, give no text. */
  readonly skipSpecialTokens: boolean
  /** 0..2^53−1; null draws one. */
  readonly seed: number | null
  /** Null is plain sampling. */
  readonly alignment: AlignmentRequest | null
  readonly cacheSalt: string
  /** Whose it is: callers take turns. Default ''. */
  readonly caller?: string
  /** Constraint on the answers; null for none. */
  readonly grammar: GrammarRequest | null
  /** What its journal tells. Default null: none is sent. */
  readonly journal?: JournalRequest | null
  /** Of requests that wait for memory, a lower one starts earlier. Default 0. */
  readonly priority?: number
  /** Verify draft tokens, where that pays. Default null: each token is run on its own. */
  readonly drafts?: DraftRequest | null
}

/** What a journal tells beside what happened. */
export interface JournalRequest {
  /** Alternatives that each guided token lists, 0–128. */
  readonly alternatives: number
  /** Whether the text and ln π of each token are told. */
  readonly pieces: boolean
}

/** Where draft tokens come from beside the prompt and the answer itself. */
export interface DraftRequest {
  /** Text that much of the answer may be; '' for none. */
  readonly prediction: string
}

/** What a grammar is made of, and what the caller calls the field that asks for it. */
export interface GrammarRequest { readonly source: GrammarSource, readonly param: string }

/** Usage of one request, in tokens. */
export interface Usage {
  readonly promptTokens: number
  /** Prompt tokens whose KV came from the prefix cache. */
  readonly cachedTokens: number
  /** Prompt tokens run through the model. */
  readonly computedPromptTokens: number
  /** Tokens of the returned choices. */
  readonly completionTokens: number
  readonly generatedTokens: number
  readonly returnedTokens: number
  readonly discardedTokens: number
  readonly rewardTokens: number
  readonly rewardCachedTokens: number
  readonly forwardPasses: number
  /** What calls to an engine elsewhere took; null where the model runs in this process. */
  readonly engine: EngineUsage | null
  /** Draft tokens that were accepted, and that were not; 0 where none were asked for. */
  readonly acceptedDrafts: number
  readonly rejectedDrafts: number
}

/** Usage of an engine elsewhere. */
export interface EngineUsage {
  readonly calls: number
  /** Calls that failed and were made again. */
  readonly failedCalls: number
  /** Tokens that the engine read, over all calls that told it. */
  readonly promptTokens: number
  /** Of those, read from its cache. */
  readonly cachedTokens: number
}

/** What a request used, however it ended. */
export interface Used {
  /** Tokens drawn, chosen or not. */
  generatedTokens: number
  /** How long each call of a reward's scorer took, seconds, by the reward's name. */
  rewardSeconds: Readonly<Record<string, readonly number[]>>
}

/** What is known as soon as a request is admitted. */
export interface GenerationStart {
  readonly seed: number
  readonly strategy: string
  /** All parameters of the strategy, defaults filled in, snake_case. */
  readonly resolved: Readonly<Record<string, unknown>>
  readonly rewardsUsed: ReadonlyArray<{
    readonly name: string, readonly member: RewardMember, readonly version: string, readonly weight: number
  }>
  /** Text of the prompt as the model reads it. */
  readonly promptText: string
  readonly promptTokenIds: readonly number[]
  /** Messages left out of a conversation that was longer than the context. */
  readonly droppedMessages: number
}

/** Logprobs of a prompt's tokens; the first token's is null, for nothing comes before it. */
export type PromptLogprobs = ReadonlyArray<TokenLogprob | { readonly bytes: readonly number[], readonly logprob: null }>

/**
 * Events of one generation, in order: `accepted` once the request is checked and will not be refused any more, `start`
 * once there is room for it, `prompt` if its logprobs were asked for, the strategy's own, `usage` last. `journal` comes
 * between them where it was asked for: first after `accepted`, last before `end`, or before an error is thrown.
 */
export type GenerationEvent =
  | { readonly type: 'accepted', readonly promptTokens: number }
  | { readonly type: 'start', readonly start: GenerationStart }
  | { readonly type: 'prompt', readonly logprobs: PromptLogprobs }
  | DecodeEvent
  | { readonly type: 'usage', readonly usage: Usage }

export interface ModelInfo {
  readonly id: string
  readonly contextLength: number
  readonly vocabularySize: number
  /**
   * Names build, model, format, operators, rounding of the processor's kernels and thread count: same fingerprint and
   * seed, same tokens.
   */
  readonly fingerprint: string
  /** What it is run with on this processor; null where an engine elsewhere runs it. */
  readonly operators: OperatorReport | null
  /** What is known of the engine elsewhere that runs it; null where it runs in this process. */
  readonly engine: EngineReport | null
  /** Seconds since the epoch. */
  readonly created: number
  /** How its answers call functions. */
  readonly callForm: CallForm
}
