/**
 * What crosses between the main thread and the inference thread: plain data only. The client side is `client.ts`, the
 * thread's side is `worker.ts`.
 */
import type { DecodeEvent, SamplingParams, Warning } from '../decoding/runtime.js'
import type { AlignmentRequest } from '../decoding/strategy-schemas.js'
import type { RequestErrorData } from '../errors.js'
import type { ChatMessage, RewardMember, Score } from '../rewards/scorer.js'

/** A request as the inference thread takes it: checked for shape, not yet for length, names of rewards or budget. */
export interface GenerateRequest {
  /** Model name as the caller wrote it. */
  readonly model: string
  readonly messages: readonly ChatMessage[]
  /** Number of choices, 1–128. */
  readonly n: number
  /** `maxTokens: null` means: as many as context and ceiling allow. */
  readonly sampling: Omit<SamplingParams, 'maxTokens'> & { readonly maxTokens: number | null }
  /** 0..2^53−1; null draws one. */
  readonly seed: number | null
  /** Null is plain sampling. */
  readonly alignment: AlignmentRequest | null
  readonly cacheSalt: string
}

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
}

/** What is known as soon as a request is admitted. */
export interface GenerationStart {
  readonly seed: number
  readonly strategy: string
  /** All parameters of the strategy, defaults filled in, snake_case. */
  readonly resolved: Readonly<Record<string, unknown>>
  readonly rewardsUsed: ReadonlyArray<{ readonly name: string, readonly member: RewardMember, readonly version: string, readonly weight: number }>
  readonly promptTokens: number
}

/** Events of one generation, in order: `start`, the strategy's own, `usage` last. */
export type GenerationEvent =
  | { readonly type: 'start', readonly start: GenerationStart }
  | DecodeEvent
  | { readonly type: 'usage', readonly usage: Usage }

export interface ScoreRequest {
  readonly model: string
  readonly reward: string
  readonly member: RewardMember
  readonly messages: readonly ChatMessage[]
  readonly answers: readonly string[]
}

/** Scores in the order of the answers, and what should be known about them. */
export interface Scored { readonly scores: readonly Score[], readonly warnings: readonly Warning[] }

export interface ModelInfo {
  readonly id: string
  readonly contextLength: number
  readonly vocabularySize: number
  /** Names build, model, format, instruction set and thread count: same fingerprint and seed, same tokens. */
  readonly fingerprint: string
  /** Seconds since the epoch. */
  readonly created: number
}

export interface RewardInfo {
  readonly name: string
  readonly members: readonly RewardMember[]
  readonly description: string
}

/** The engine at this moment. */
export interface EngineStats {
  readonly sequences: number
  readonly waitingRequests: number
  readonly runningRequests: number
  /** Tokens whose KV is held by open sequences. */
  readonly kvTokens: number
  readonly kvBytesPerToken: number
  /** Bytes of KV kept for later prompts. */
  readonly prefixCacheBytes: number
}

/** Main thread → inference thread. */
export type ToWorker =
  | { readonly type: 'generate', readonly id: number, readonly request: GenerateRequest }
  | { readonly type: 'score', readonly id: number, readonly request: ScoreRequest }
  | { readonly type: 'stats', readonly id: number }
  | { readonly type: 'abort', readonly id: number }
  | { readonly type: 'close' }

/** Inference thread → main thread. */
export type FromWorker =
  | { readonly type: 'loading', readonly message: string }
  | { readonly type: 'ready', readonly model: ModelInfo, readonly rewards: readonly RewardInfo[] }
  | { readonly type: 'event', readonly id: number, readonly event: GenerationEvent }
  | { readonly type: 'scored', readonly id: number, readonly scored: Scored }
  | { readonly type: 'stats', readonly id: number, readonly stats: EngineStats }
  | { readonly type: 'done', readonly id: number }
  | { readonly type: 'failed', readonly id: number, readonly error: RequestErrorData }
  | { readonly type: 'fatal', readonly error: RequestErrorData }
