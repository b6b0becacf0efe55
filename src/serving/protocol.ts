/**
 * What crosses between the main thread and the inference thread: plain data only. The client side is
 * `inference-client.ts`, the thread's side is `worker.ts`.
 */
import type { DecodeEvent } from '../decoding/events.js'
import type { Warning } from '../decoding/result.js'
import type { TokenLogprob } from '../policies/drawn-token.js'
import type { SamplingParams } from '../policies/sampling-params.js'
import type { AlignmentRequest } from '../decoding/strategies/strategy-schemas.js'
import type { RequestErrorData } from '../errors.js'
import type { CallForm } from '../models/tokenizer/call-form.js'
import type { OperatorReport } from '../models/self-test/choose-operators.js'
import type { Suggestion } from '../fitting/active-learning.js'
import type { AdaptChoices, OpenPair } from '../fitting/adapt-reward.js'
import type { Pair } from '../fitting/examples.js'
import type { FitChoices, FitProgress } from '../fitting/fit-task.js'
import type { RewardInfo } from '../rewards/reward-info.js'
import type { AnswerMember, ChatMessage, RewardMember, Score } from '../rewards/scorer.js'

export type { CallForm } from '../models/tokenizer/call-form.js'
export type { OperatorReport } from '../models/self-test/choose-operators.js'

/** Messages, rendered by the model's template. */
export interface ChatPrompt {
  readonly messages: readonly ChatMessage[]
  /** Whether the prompt ends with the opening of the assistant's turn. */
  readonly addGenerationPrompt: boolean
  /** Whether the answer goes on from the last message's text; then no turn is opened. */
  readonly continueFinalMessage: boolean
  /** Functions that the model is told of, as OpenAI's requests have them. */
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

/** A request as the inference thread takes it: checked for shape, not yet for length, names of rewards or budget. */
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
  /** What answers are held to; null where anything may be written. */
  readonly grammar: GrammarRequest | null
  /** Who waits for memory with a lower one starts earlier. Default 0. */
  readonly priority?: number
  /** Guess tokens ahead, where that pays. Default null: each is run on its own. */
  readonly drafts?: DraftRequest | null
}

/** Where guesses come from beside the prompt and the answer itself. */
export interface DraftRequest {
  /** Text that much of the answer may be; '' for none. */
  readonly prediction: string
}

/** A grammar's text, and what the caller calls the field that asks for it. */
export interface GrammarRequest { readonly text: string, readonly param: string }

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
  /** Guesses that came true, and that did not; 0 where none were asked for. */
  readonly acceptedDrafts: number
  readonly rejectedDrafts: number
}

/** What a request took, however it ended. */
export interface Spent {
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
 * once there is room for it, `prompt` if its logprobs were asked for, the strategy's own, `usage` last.
 */
export type GenerationEvent =
  | { readonly type: 'accepted' }
  | { readonly type: 'start', readonly start: GenerationStart }
  | { readonly type: 'prompt', readonly logprobs: PromptLogprobs }
  | DecodeEvent
  | { readonly type: 'usage', readonly usage: Usage }

/** Given answers to be scored, each to a conversation of its own. */
export interface ScoreRequest {
  readonly model: string
  /** What to sum, at least one. */
  readonly rewards: ReadonlyArray<{ readonly name: string, readonly weight: number }>
  readonly scale: 'standardized' | 'raw'
  /** With `outcome` answers count as finished, with `prefix` as unfinished. */
  readonly member: AnswerMember
  readonly items: ReadonlyArray<{ readonly messages: readonly ChatMessage[], readonly answer: string }>
  /**
   * Score each answer after every so many of its tokens, and whole at last; null scores it whole only. Needs `prefix`.
   */
  readonly every: number | null
  readonly cacheSalt: string
  /** What the caller calls these fields, for errors. */
  readonly fields: { readonly rewards: string, readonly items: string }
}

/** The score of an answer's first tokens. */
export interface ScoredPrefix { readonly tokens: number, readonly text: string, readonly score: Score }

/** The score of one answer as it was given, and of its prefixes where they were asked for, shortest first. */
export interface ScoredItem {
  readonly score: Score, readonly tokens: number, readonly prefixes: readonly ScoredPrefix[]
}

/** Scores in the order of the items, and what should be known about them. */
export interface Scored {
  readonly items: readonly ScoredItem[]
  readonly rewardsUsed: GenerationStart['rewardsUsed']
  readonly warnings: readonly Warning[]
  /**
   * Tokens of all prompts and answers; those of them that were read from the prefix cache, and those run through the
   * model.
   */
  readonly usage: { readonly tokens: number, readonly cachedTokens: number, readonly computedTokens: number }
}

/** A reward to be fitted and kept. */
export interface FitRequest extends FitChoices {
  readonly model: string
  /** Whether a kept reward of the name may be replaced. */
  readonly replace: boolean
}

/** A reward to be made from another one and a user's pairs, and kept. */
export interface AdaptRequest extends AdaptChoices {
  readonly model: string
  readonly reward: string
  /** Whether a kept reward of the name may be replaced. */
  readonly replace: boolean
}

export interface SuggestRequest {
  readonly model: string
  readonly reward: string
  readonly candidates: readonly OpenPair[]
  readonly labelled: readonly Pair[]
  readonly count: number
}

/** Candidates by index, most informative first. */
export type Suggested = readonly Suggestion[]

/** How far a fit is; `queued` while others are fitted. */
export type FittingProgress = FitProgress | { readonly phase: 'queued', readonly done: 0, readonly total: 1 }

export interface ModelInfo {
  readonly id: string
  readonly contextLength: number
  readonly vocabularySize: number
  /**
   * Names build, model, format, operators, rounding of the processor's kernels and thread count: same fingerprint and
   * seed, same tokens.
   */
  readonly fingerprint: string
  /** What it is run with on this processor. */
  readonly operators: OperatorReport
  /** Seconds since the epoch. */
  readonly created: number
  /** How its answers call functions. */
  readonly callForm: CallForm
}

export interface TokenizeRequest { readonly model: string, readonly prompt: PromptInput }

/** Tokens, and the text each is written with; part of a character, maybe. */
export interface Tokenized { readonly tokens: readonly number[], readonly texts: readonly string[] }

export interface DetokenizeRequest { readonly model: string, readonly tokens: readonly number[] }

/**
 * What programs that render and count prompts themselves ask of a tokenizer; '' for a token that the model does not
 * name.
 */
export interface TokenizerInfo { readonly beginToken: string, readonly endToken: string, readonly chatTemplate: string }

export interface EmbedRequest {
  readonly model: string, readonly inputs: readonly PromptInput[], readonly cacheSalt: string
}

/** Mean hidden states of the last layer over each input's tokens, of length one, in the order of the inputs. */
export interface Embedded { readonly embeddings: readonly Float32Array[], readonly promptTokens: number }

/** The engine of a model at this moment. */
export interface EngineStats {
  readonly model: string
  readonly sequences: number
  readonly waitingRequests: number
  readonly runningRequests: number
  /** Tokens whose KV is held by open sequences. */
  readonly kvTokens: number
  readonly kvBytesPerToken: number
  /** Bytes of KV kept for later prompts. */
  readonly prefixCacheBytes: number
  /** Since the thread started: steps, model runs, and the rows they carried. */
  readonly steps: number
  readonly runs: number
  readonly decodeRows: number
  readonly prefillRows: number
  /** Of tokens that might come next, run up to some layer. */
  readonly probedRows: number
}

/** A model that rewards brought, at this moment. */
export interface RewardModelStats {
  /** Name of its file or folder. */
  readonly id: string
  /** Bytes of its weights. */
  readonly weightBytes: number
  /** Bytes of KV that are held for open and for later sequences. */
  readonly kvBytes: number
  /** Tokens run through it since it was loaded. */
  readonly tokens: number
}

/** All engines at this moment, the default model's first. */
export interface Stats { readonly engines: readonly EngineStats[], readonly rewardModels: readonly RewardModelStats[] }

/** What has one answer: name → request and answer. */
export interface Calls {
  readonly score: { readonly request: ScoreRequest, readonly answer: Scored }
  readonly tokenize: { readonly request: TokenizeRequest, readonly answer: Tokenized }
  readonly tokenizerInfo: { readonly request: { readonly model: string }, readonly answer: TokenizerInfo }
  readonly detokenize: { readonly request: DetokenizeRequest, readonly answer: string }
  /** The reward, once it is kept and can be used. Tells its progress. */
  readonly fit: { readonly request: FitRequest, readonly answer: RewardInfo }
  readonly adapt: { readonly request: AdaptRequest, readonly answer: RewardInfo }
  readonly suggest: { readonly request: SuggestRequest, readonly answer: Suggested }
  readonly deleteReward: { readonly request: { readonly name: string }, readonly answer: null }
  readonly embed: { readonly request: EmbedRequest, readonly answer: Embedded }
  readonly stats: { readonly request: null, readonly answer: Stats }
}

export type CallName = keyof Calls

/** Main thread → inference thread. */
export type ToWorker =
  | { readonly type: 'generate', readonly id: number, readonly request: GenerateRequest }
  | {
    readonly type: 'call', readonly id: number, readonly name: CallName, readonly request: Calls[CallName]['request']
  }
  | { readonly type: 'abort', readonly id: number }
  | { readonly type: 'close' }

/** Inference thread → main thread. */
export type FromWorker =
  | { readonly type: 'loading', readonly message: string }
  /** The default model is the first. */
  | { readonly type: 'ready', readonly models: readonly ModelInfo[], readonly rewards: readonly RewardInfo[] }
  | { readonly type: 'event', readonly id: number, readonly event: GenerationEvent }
  | { readonly type: 'progress', readonly id: number, readonly progress: FittingProgress }
  /** All rewards that fit a model, whenever that changes. */
  | { readonly type: 'rewards', readonly rewards: readonly RewardInfo[] }
  | { readonly type: 'answer', readonly id: number, readonly answer: Calls[CallName]['answer'] }
  | { readonly type: 'done', readonly id: number, readonly spent: Spent }
  | { readonly type: 'failed', readonly id: number, readonly error: RequestErrorData, readonly spent: Spent }
  | { readonly type: 'fatal', readonly error: RequestErrorData }
