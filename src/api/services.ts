/**
 * What routes are given: the inference thread, the settings, profiles, keys and metrics, whether the server still takes
 * requests.
 */
import type { FastifyRequest } from 'fastify'
import type { Config } from '../settings.js'
import { RequestError } from '../errors.js'
import { FeedbackStore } from '../feedback/feedback-store.js'
import type { Inference } from '../serving/inference-client.js'
import { PendingBytes } from '../serving/pending-bytes.js'
import type { GenerateRequest, GenerationEvent } from '../serving/protocol.js'
import { servedModelNames } from '../serving/model-names.js'
import { Metrics } from '../metrics/metrics.js'
import type { MetricsNames } from '../metrics/model-metrics.js'
import { Catalog } from './models/model-catalog.js'
import { GenerationObserver } from './generation/generation-observer.js'
import { headOf, withHead, withoutJournal, type ShownRequest } from './generation/run-head.js'
import { Keys, type Caller } from './plugins/keys.js'
import { Profiles } from './models/profiles.js'
import { ResponseStore } from './responses/response-store.js'
import { KeptRun, KeptRuns } from './runs/kept-runs.js'
import { SocketLimit } from './transport/socket-limit.js'

/** Who asks for a generation, and where the log says what it drew. */
export type Requester = Pick<FastifyRequest, 'caller' | 'logEntry'> & Partial<Pick<FastifyRequest, 'announceRun'>>

/** What is kept of runs that did not ask for their journal. */
const plainJournal = { alternatives: 0, pieces: false }

export class Services {
  readonly config: Config
  readonly profiles: Profiles
  readonly keys: Keys
  readonly metrics: Metrics
  readonly responses: ResponseStore
  /** Bodies, and messages of WebSockets, that are received or not answered yet. */
  readonly pending: PendingBytes
  /** Chats that were to be stored, and what was said of them. */
  readonly feedback: FeedbackStore
  readonly sockets: SocketLimit
  /** Journals of the last runs. */
  readonly keptRuns: KeptRuns
  readonly #inference: () => Inference | null
  readonly #onIdle: Array<() => void> = []
  #running = 0
  #draining = false

  /**
   * @param inference the client, or null while it is being started
   * @throws RequestError for names of models, profiles and keys that cannot be used
   */
  constructor (config: Config, inference: () => Inference | null) {
    this.config = config
    this.profiles = new Profiles(config.profiles ?? {}, servedModelNames(config).map(({ name }) => name))
    this.keys = new Keys(config)
    this.metrics = new Metrics(config.metricsNames as MetricsNames)
    this.responses = new ResponseStore(config)
    this.pending = new PendingBytes(config.maxPendingRequestBytes)
    this.feedback = new FeedbackStore(config.dataDir, {
      completions: config.storedCompletions,
      bytesPerCaller: config.storedCompletionBytesPerKey,
      bytes: config.storedCompletionBytes
    })
    this.sockets = new SocketLimit(config.maxWebSockets)
    this.keptRuns = new KeptRuns(config)
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
   * @throws RequestError rate_limit_exceeded at a limit of the caller
   */
  begin (caller: Caller, drawsTokens = true): () => void {
    if (drawsTokens) caller.checkTokens()
    const release = caller.take()
    this.#running++
    let held = true
    return () => {
      if (!held) return
      held = false
      release()
      if (--this.#running === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
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
    request: GenerateRequest, shown: ShownRequest, { caller, logEntry, announceRun }: Requester, signal: AbortSignal
  ): AsyncGenerator<GenerationEvent, void, undefined> {
    caller.checkPriority(request.priority ?? 0)
    const { keptRuns } = this
    const isKept = keptRuns.areKept
    const own = {
      ...request,
      cacheSalt: caller.saltOf(request.cacheSalt),
      caller: caller.turn,
      ...isKept && { journal: request.journal ?? plainJournal }
    }
    const observer = new GenerationObserver(this.metrics.of(request.model), logEntry)
    const events = observer.events(this.inference.generate(own, {
      signal,
      onUsed: used => {
        caller.spend(used.generatedTokens)
        observer.used(used)
      }
    }))
    if (!own.journal) return events
    const head = headOf(shown)
    if (isKept) announceRun?.(head.id)
    const kept = isKept ? keptRuns.keep(events, new KeptRun(head, caller.name)) : events
    return request.journal ? withHead(kept, head) : withoutJournal(kept)
  }

  /** From now on new work is refused; what runs goes on. */
  drain (): void { this.#draining = true }

  /** @throws RequestError unavailable once the server is draining */
  refuseIfDraining (): void {
    if (this.#draining) throw new RequestError('unavailable', 'The server is shutting down', { retryAfterMs: 5000 })
  }
}
