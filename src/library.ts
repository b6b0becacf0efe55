/**
 * `import { Fairlead } from 'fairlead'`: the server's engine inside another program, in a Worker of its own, without
 * HTTP. Takes and gives the very objects that the API does, from the same readers and formatters.
 */
import { ChatFormatter } from './api/chat/chat-formatter.js'
import { Catalog } from './api/models/model-catalog.js'
import { Profiles } from './api/models/profiles.js'
import {
  chatCompletionBody, parseChatCompletion, type ChatCompletionRequest
} from './api/chat/chat-completion-schema.js'
import { parseRewardFit, rewardFitBody } from './api/rewards/reward-fit-schema.js'
import { parseRewardScore, rewardScoreBody } from './api/rewards/reward-score-schema.js'
import { rewardScores } from './api/rewards/score-formatter.js'
import type { ChatCompletion, ChatCompletionChunk, ChatRequest } from './api/chat/chat-types.js'
import type { FitBody, RewardScores, ScoreBody } from './api/rewards/reward-types.js'
import { engineConfig } from './config.js'
import { settings, type EngineSettings } from './settings.js'
import { InferenceClient } from './serving/inference-client.js'
import type { FittingProgress } from './serving/calls.js'
import type { ModelInfo } from './serving/protocol.js'
import { servedModelNames } from './serving/model-names.js'
import type { RewardInfo } from './rewards/reward-info.js'
import { refuse } from './validation.js'

export type * from './api/alignment/alignment-types.js'
export type * from './api/chat/chat-types.js'
export type * from './api/responses/response-types.js'
export type * from './api/rewards/reward-types.js'
export type { ProgressCandidate } from './decoding/events.js'
export type { KlReport, StoppedBy, Warning } from './decoding/result.js'
export type { FinishReason } from './policies/transcript.js'
export type { EngineSettings } from './settings.js'
export type { StrategyName } from './decoding/strategies/strategy-schemas.js'
export { RequestError, type ErrorBody, type ErrorCode, type RequestErrorData } from './errors.js'
export type { FittingProgress } from './serving/calls.js'
export type { ModelInfo } from './serving/protocol.js'
export type { CallForm } from './models/tokenizer/tool-call-format.js'
export type { OperatorReport } from './models/self-test/choose-operators.js'
export type { RewardInfo } from './rewards/reward-info.js'
export type { RewardMember } from './rewards/scorer.js'

/**
 * Settings by name, as the command line has them (`--max-sequences` is `maxSequences`). What is not given comes from
 * the environment, then the settings file, then the defaults.
 */
export interface FairleadOptions extends Partial<EngineSettings> {
  /** Receives progress messages while the model is fetched and loaded. */
  readonly onProgress?: (message: string) => void
}

/** A request, for which a model need not be named. */
type Unnamed<T> = Omit<T, 'model'> & { readonly model?: string }

/** A request for a whole answer. @interface */
export type GenerateParams = Unnamed<Omit<ChatRequest, 'stream' | 'stream_options'>>

/** A request for an answer in pieces. @interface */
export type StreamParams = Unnamed<Omit<ChatRequest, 'stream'>>

/** What every call may be given beside its request. */
export interface CallOptions {
  /** Aborting it ends the work at once; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** One or several models, their rewards and what runs them. It keeps the process alive until it is closed. */
export class Fairlead {
  readonly #client: InferenceClient
  readonly #profiles: Profiles
  #closed: Promise<void> | null = null

  private constructor (client: InferenceClient, profiles: Profiles) {
    this.#client = client
    this.#profiles = profiles
  }

  /**
   * Fetches the model if need be, loads it in a thread of its own and resolves when it takes requests.
   * @throws RequestError for settings that cannot be used and a model that cannot be loaded
   */
  static async start ({ onProgress = () => {}, ...values }: FairleadOptions = {}): Promise<Fairlead> {
    // No request is rejected for load here: a program that sends more than can run at a time waits.
    const config = { ...engineConfig(values), maxQueuedRequests: settings.maxQueuedRequests.max }
    const profiles = new Profiles(config.profiles ?? {}, servedModelNames(config).map(({ name }) => name))
    return new Fairlead(await InferenceClient.start(config, onProgress), profiles)
  }

  /** The model of requests that name none. */
  get model (): ModelInfo { return this.#client.model }

  /** The models that requests may name, that one first. */
  get models (): readonly ModelInfo[] { return this.#client.models }

  /** The rewards that fit a model, those fitted since included. */
  get rewards (): readonly RewardInfo[] { return this.#client.rewards }

  /**
   * Answers a conversation.
   * @throws RequestError naming the field, the rule and the value
   */
  async generate (params: GenerateParams, { signal }: CallOptions = {}): Promise<ChatCompletion> {
    const { generate, ...request } = this.#parse(params, false)
    const formatter = new ChatFormatter({ generate, ...request })
    for await (const event of this.#client.generate(generate, signal ? { signal } : {})) formatter.see(event)
    return formatter.completion()
  }

  /**
   * Answers a conversation in pieces, as text is certain: it is never taken back. Leaving the loop ends the work.
   * @throws RequestError naming the field, the rule and the value
   */
  async * stream (
    params: StreamParams, { signal }: CallOptions = {}
  ): AsyncGenerator<ChatCompletionChunk, void, undefined> {
    const { generate, ...request } = this.#parse(params, true)
    const formatter = new ChatFormatter({ generate, ...request })
    for await (const event of this.#client.generate(generate, signal ? { signal } : {})) yield * formatter.chunks(event)
  }

  /**
   * Scores given answers, whole or as they grow.
   * @throws RequestError naming the field, the rule and the value
   */
  async score (params: ScoreBody, { signal }: CallOptions = {}): Promise<RewardScores> {
    const request = parseRewardScore(rewardScoreBody.check(params), this.#catalog)
    return rewardScores(request, await this.#client.call('score', request, signal ? { signal } : {}))
  }

  /**
   * Fits a reward on examples and keeps it in `dataDir`: it can be used at once, and by whatever starts with that
   * folder later.
   * @param options.onProgress receives the progress
   * @throws RequestError naming the field or the example, the rule and the value
   */
  async fit (
    params: FitBody,
    { signal, onProgress }: CallOptions & { readonly onProgress?: (progress: FittingProgress) => void } = {}
  ): Promise<RewardInfo> {
    if ('stream' in params) throw refuse('stream', 'cannot be given: onProgress tells how far it is', params.stream)
    const body = rewardFitBody.check({ description: 'fitted by a program', data: 'examples of a program', ...params })
    const { fit } = await parseRewardFit(body, this.#catalog,
      dataset => { throw refuse('feedback', 'is kept by a server: give examples', dataset) })
    return await this.#client.call('fit', fit, { ...(signal && { signal }), ...(onProgress && { onProgress }) })
  }

  /** Deletes a reward that was fitted. @throws RequestError for one that is not there or comes with the package */
  async deleteReward (name: string): Promise<void> { await this.#client.call('deleteReward', { name }) }

  /** Aborts what runs, frees the model and ends the thread. Idempotent. */
  close (): Promise<void> { return (this.#closed ??= this.#client.close()) }

  get #catalog (): Catalog { return new Catalog(this.#client, this.#profiles) }

  /** Here no header could name fields that nobody knows: they are refused. */
  #parse (params: GenerateParams | StreamParams, stream: boolean): ChatCompletionRequest {
    if ('stream' in params) throw refuse('stream', 'cannot be given: call stream() or generate()', params.stream)
    const { value, ignored: [unknown] } = chatCompletionBody.read({ model: this.model.id, ...params, stream })
    if (unknown !== undefined) throw refuse(unknown, 'is not a field', (params as Record<string, unknown>)[unknown])
    if (value.store) throw refuse('store', 'needs a server: here nothing is kept', true)
    return parseChatCompletion(value, this.#catalog)
  }
}
