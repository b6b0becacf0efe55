/**
 * What routes are given: the inference thread, the settings, profiles, keys and metrics, whether the server still takes
 * requests.
 */
import type { FastifyRequest } from 'fastify'
import type { Config } from '../settings.js'
import { RequestError } from '../errors.js'
import type { Inference } from '../serving/inference-client.js'
import { PendingBytes } from '../serving/pending-bytes.js'
import type { GenerateRequest, GenerationEvent } from '../serving/protocol.js'
import { servedModelNames } from '../serving/model-names.js'
import { Metrics } from '../metrics/metrics.js'
import type { MetricsNames } from '../metrics/model-metrics.js'
import { Catalog } from './models/model-catalog.js'
import { GenerationObserver } from './generation/generation-observer.js'
import { Keys, type Caller } from './plugins/keys.js'
import { Profiles } from './models/profiles.js'
import { openStore } from '../stores/open-store.js'
import type { Store } from '../stores/store.js'
import { KeptResponses } from './responses/kept-responses.js'
import { SocketLimit } from './transport/socket-limit.js'

/** Who asks for a generation, and where the log says what it drew. */
export type Requester = Pick<FastifyRequest, 'caller' | 'logEntry'>

export class Services {
  readonly config: Config
  readonly profiles: Profiles
  readonly keys: Keys
  readonly metrics: Metrics
  /** What outlives requests, and is shared with replicas where there are some. */
  readonly store: Store
  readonly responses: KeptResponses
  /** Bodies, and messages of WebSockets, that are received or not answered yet. */
  readonly pending: PendingBytes
  readonly sockets: SocketLimit
  readonly #inference: () => Inference | null
  readonly #onIdle: Array<() => void> = []
  #rewardsRevision: number | null = null
  #running = 0
  #draining = false

  /**
   * @param inference the client, or null while it is being started
   * @param onStore receives what becomes of a store that replicas share
   * @throws RequestError for names of models, profiles and keys that cannot be used
   */
  constructor (config: Config, inference: () => Inference | null, onStore: (message: string) => void = () => {}) {
    this.config = config
    this.profiles = new Profiles(config.profiles ?? {}, servedModelNames(config).map(({ name }) => name))
    this.store = openStore(config, onStore)
    this.keys = new Keys(config, this.store.rates)
    this.metrics = new Metrics(config.metricsNames as MetricsNames)
    const { store } = this
    if (store.name !== null) this.metrics.showStore(() => store.problem === null)
    this.responses = new KeptResponses(config, this.store.responses)
    this.pending = new PendingBytes(config.maxPendingRequestBytes)
    this.sockets = new SocketLimit(config.maxWebSockets)
    this.#inference = inference
  }

  /**
   * @throws RequestError unavailable while the models are loading, where they could not be loaded again, or once they
   * have been closed
   */
  get inference (): Inference {
    const inference = this.#inference()
    if (inference?.isReady) return inference
    this.refuseIfDraining()
    throw this.problem ?? new RequestError('unavailable', 'The model is still loading', { retryAfterMs: 1000 })
  }

  /** What requests may name as their model. @throws RequestError unavailable while the models are loading */
  get catalog (): Catalog { return new Catalog(this.inference, this.profiles) }

  get isReady (): boolean { return this.#inference()?.isReady ?? false }
  /** That the inference thread, once lost, could not be started again; null where all is well, or may be. */
  get problem (): RequestError | null { return this.#inference()?.problem ?? null }
  get isDraining (): boolean { return this.#draining }

  /**
   * Begins work for a request. @returns what ends it; may be called more than once
   * @param drawsTokens whether it may generate, so that the caller's rate of tokens must not be used up
   * @throws RequestError rate_limit_exceeded at a limit of the caller; store_unavailable
   */
  async begin (caller: Caller, drawsTokens = true): Promise<() => void> {
    const release = this.hold()
    try {
      if (drawsTokens) await caller.checkTokens()
      const giveBack = caller.take()
      return () => {
        giveBack()
        release()
      }
    } catch (error) {
      release()
      throw error
    }
  }

  /** Keeps the server from ending. @returns what ends that; may be called more than once */
  hold (): () => void {
    this.#running++
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.#running === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
    }
  }

  /**
   * Learns which rewards other replicas have kept or deleted, so that they count with the next request. While the store
   * cannot be reached those that are known are used on.
   */
  async refreshRewards (): Promise<void> {
    if (this.store.name === null || !this.isReady) return
    try {
      const revision = await this.store.rewardsRevision()
      if (revision === this.#rewardsRevision) return
      await this.inference.call('refreshRewards', null)
      this.#rewardsRevision = revision
    } catch (error) {
      if (!(error instanceof RequestError && error.code === 'store_unavailable')) throw error
    }
  }

  /** Waits until no request runs. */
  async idle (): Promise<void> {
    if (this.#running > 0) await new Promise<void>(resolve => { this.#onIdle.push(resolve) })
  }

  /**
   * The events of a caller's generation, counted. Leaving the loop, or aborting the signal, ends the work. What was
   * drawn is the caller's, however it ends.
   * @throws RequestError permission_denied for a priority that the caller may not have
   */
  generate (
    request: GenerateRequest, { caller, logEntry }: Requester, signal: AbortSignal
  ): AsyncGenerator<GenerationEvent, void, undefined> {
    caller.checkPriority(request.priority ?? 0)
    const own = { ...request, cacheSalt: caller.saltOf(request.cacheSalt), caller: caller.turn }
    const observer = new GenerationObserver(this.metrics.of(request.model), logEntry)
    return observer.events(this.inference.generate(own, {
      signal,
      onUsed: used => {
        caller.spend(used.generatedTokens)
        observer.used(used)
      }
    }))
  }

  /** From now on new work is refused; what runs goes on. */
  drain (): void { this.#draining = true }

  /** @throws RequestError unavailable once the server is draining */
  refuseIfDraining (): void {
    if (this.#draining) throw new RequestError('unavailable', 'The server is shutting down', { retryAfterMs: 5000 })
  }
}
