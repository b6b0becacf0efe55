/** The main thread's side of the inference thread: requests in, events out, abort. Restarts the thread if it dies. */
import { Worker } from 'node:worker_threads'
import type { Config } from '../settings.js'
import { EventQueue } from '../decoding/event-queue.js'
import { RequestError } from '../errors.js'
import type { RewardInfo } from '../rewards/reward-info.js'
import type { CallName, Calls, FittingProgress, Stats } from './calls.js'
import type { FromWorker, ToWorker } from './messages.js'
import { dataBytes } from './data-size.js'
import { PendingBytes } from './pending-bytes.js'
import type { GenerateRequest, GenerationEvent, ModelInfo, Used } from './protocol.js'

interface Pending {
  /** Its bytes are held no more. */
  readonly release: () => void
  readonly onMessage: (message: FromWorker) => void
  readonly fail: (error: Error) => void
}

/** What has an answer. */
type Sent = Extract<ToWorker, { readonly request: unknown }>

export interface CallOptions {
  readonly signal?: AbortSignal
  /**
   * Reports what the request used, once, however it ended: before its caller knows that it has ended or, where the
   * client disconnected, when the thread has confirmed it. Reports no usage where the thread was lost.
   */
  readonly onUsed?: (used: Used) => void
}

/** What the API and the commands need of the inference thread. */
export type Inference =
  Pick<InferenceClient, 'models' | 'rewards' | 'isReady' | 'problem' | 'generate' | 'call' | 'stats'>

/** A thread that dies this often in a row is not started again. */
const maxRestarts = 5
/**
 * Before the second try to start it, ms, and twice as long before each further one: a missing resource, such as a file
 * or memory, may come back.
 */
const restartDelayMs = 1000

export class InferenceClient {
  readonly #config: Config
  readonly #onProgress: (message: string) => void
  readonly #pending = new Map<number, Pending>()
  readonly #bytes: PendingBytes
  /** Callbacks that receive a request's usage, by the request's id. */
  readonly #accounts = new Map<number, (used: Used) => void>()
  #worker: Worker | null = null
  #info: { models: readonly ModelInfo[], rewards: readonly RewardInfo[] } | null = null
  #nextId = 0
  #restarts = 0
  #restart: NodeJS.Timeout | undefined
  #problem: RequestError | null = null
  /** Whether the thread was ever ready: one that never was is not started again. */
  #hasServed = false
  #closing = false

  private constructor (config: Config, onProgress: (message: string) => void) {
    this.#config = config
    this.#bytes = new PendingBytes(config.maxPendingRequestBytes)
    this.#onProgress = onProgress
  }

  /**
   * Starts the thread and loads the models.
   * @throws RequestError if one cannot be loaded
   */
  static async start (config: Config, onProgress: (message: string) => void = () => {}): Promise<InferenceClient> {
    const client = new InferenceClient(config, onProgress)
    await client.#start()
    return client
  }

  get isReady (): boolean { return this.#info !== null && !this.#closing }
  /**
   * The error that callers get while the thread cannot be restarted; null where it could be, or while the first restart
   * is under way.
   */
  get problem (): RequestError | null { return this.#problem }
  /** The default first. */
  get models (): readonly ModelInfo[] { return this.#ready().models }
  /** The default. */
  get model (): ModelInfo { return this.models[0]! }
  get rewards (): readonly RewardInfo[] { return this.#ready().rewards }

  /**
   * The events of one generation. Leaving the loop, or aborting the signal, ends the work.
   * @throws RequestError
   */
  async * generate (
    request: GenerateRequest, { signal, onUsed }: CallOptions = {}
  ): AsyncGenerator<GenerationEvent, void, undefined> {
    const events = new EventQueue<GenerationEvent>()
    const { id, done } = this.#send(newId => ({ type: 'generate', id: newId, request }), message => {
      if (message.type === 'event') events.push(message.event)
    }, { ...(signal && { signal }), ...(onUsed && { onUsed }) })
    events.endWith(done)
    try {
      yield * events
    } finally {
      this.#abort(id)
    }
  }

  /**
   * One question, one answer.
   * @param onProgress receives the progress of questions that take long
   * @throws RequestError
   */
  async call<N extends CallName> (
    name: N, request: Calls[N]['request'],
    { onProgress, ...options }: CallOptions & { onProgress?: (progress: FittingProgress) => void } = {}
  ): Promise<Calls[N]['answer']> {
    let answer: Calls[N]['answer'] | undefined
    await this.#send(id => ({ type: 'call', id, name, request }), message => {
      if (message.type === 'answer') answer = message.answer
      else if (message.type === 'progress') onProgress?.(message.progress)
    }, options).done
    return answer!
  }

  stats (): Promise<Stats> { return this.call('stats', null) }

  /** Aborts what runs, frees the models, ends the thread. */
  async close (): Promise<void> {
    this.#closing = true
    clearTimeout(this.#restart)
    const worker = this.#worker
    if (!worker) return
    const exited = new Promise(resolve => { worker.once('exit', resolve) })
    this.#post({ type: 'close' })
    await exited
  }

  #ready (): { models: readonly ModelInfo[], rewards: readonly RewardInfo[] } {
    if (!this.#info) {
      throw this.#problem ?? new RequestError('unavailable', 'The model is not loaded yet', { retryAfterMs: 1000 })
    }
    return this.#info
  }

  #post (message: ToWorker): void { this.#worker?.postMessage(message) }

  #account ({ id, used }: { readonly id: number, readonly used: Used }): void {
    this.#accounts.get(id)?.(used)
    this.#accounts.delete(id)
  }

  #abort (id: number): void {
    if (this.#forget(id)) this.#post({ type: 'abort', id })
  }

  /** @returns whether it was pending */
  #forget (id: number): boolean {
    this.#pending.get(id)?.release()
    return this.#pending.delete(id)
  }

  /** Counts the bytes of a request that a caller sends. @throws RequestError rate_limit_exceeded at a limit */
  #hold (request: GenerateRequest | Calls[CallName]['request']): () => void {
    const caller = request && 'caller' in request ? request.caller : undefined
    return caller === undefined ? () => {} : this.#bytes.take(caller, dataBytes(request))
  }

  /** Sends a request; `done` settles when it has ended. */
  #send (
    message: (id: number) => Sent, onMessage: (message: FromWorker) => void, { signal, onUsed }: CallOptions
  ): { id: number, done: Promise<void> } {
    this.#ready()
    signal?.throwIfAborted()
    const id = this.#nextId++
    const sent = message(id)
    const release = this.#hold(sent.request)
    if (onUsed) this.#accounts.set(id, onUsed)
    const done = new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#abort(id)
        fail(signal?.reason instanceof Error ? signal.reason : new Error('aborted'))
      }
      const settle = (): void => {
        this.#forget(id)
        signal?.removeEventListener('abort', leave)
      }
      const fail = (error: Error): void => { settle(); reject(error) }
      signal?.addEventListener('abort', leave, { once: true })
      this.#pending.set(id, {
        release,
        fail,
        onMessage: received => {
          onMessage(received)
          if (received.type === 'failed') fail(RequestError.fromData(received.error))
          else if (received.type === 'done') { settle(); resolve() }
        }
      })
    })
    this.#post(sent)
    return { id, done }
  }

  #start (): Promise<void> {
    const worker = new Worker(new URL('./inference-worker.js', import.meta.url), { workerData: this.#config })
    this.#worker = worker
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'loading') this.#onProgress(message.message)
        else if (message.type === 'ready') {
          this.#info = message
          this.#restarts = 0
          this.#problem = null
          this.#hasServed = true
          resolve()
        } else if (message.type === 'rewards') {
          if (this.#info) this.#info = { ...this.#info, rewards: message.rewards }
        } else if (message.type === 'fatal') {
          reject(RequestError.fromData(message.error))
          worker.terminate().catch(reject)
        } else {
          if (message.type === 'done' || message.type === 'failed') this.#account(message)
          this.#pending.get(message.id)?.onMessage(message)
        }
      })
      worker.on('error', error => { console.error(error) })
      worker.on('exit', () => {
        this.#lost()
        reject(new RequestError('unavailable', 'The inference thread ended while it was starting'))
      })
    })
  }

  /** The thread is gone: what it was doing fails, and it is started again, at once the first time. */
  #lost (): void {
    this.#worker = null
    this.#info = null
    const lost = new RequestError('unavailable', 'The inference thread ended; the request was lost',
      { retryAfterMs: 5000 })
    for (const { fail } of [...this.#pending.values()]) fail(lost)
    for (const account of this.#accounts.values()) account({ generatedTokens: 0, rewardSeconds: {} })
    this.#accounts.clear()
    if (this.#closing || !this.#hasServed) return
    if (this.#restarts >= maxRestarts) {
      this.#onProgress(`the inference thread could not be started again, ${maxRestarts} times; the server must be ` +
        'restarted')
      return
    }
    const delayMs = this.#restarts === 0 ? 0 : restartDelayMs * 2 ** (this.#restarts - 1)
    this.#restarts++
    this.#onProgress(`the inference thread ended; starting it again${delayMs === 0 ? '' : ` in ${delayMs / 1000} s`}`)
    this.#restart = setTimeout(() => {
      this.#start().catch(({ message }: Error) => {
        this.#problem = new RequestError('unavailable',
          'The inference thread ended and could not be started again; the log says why', { retryAfterMs: 5000 })
        this.#onProgress(`the inference thread could not be started again: ${message}`)
      })
    }, delayMs)
  }
}
