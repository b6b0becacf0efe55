/**
 * One replica of an engine: its address, what runs there, and whether it is well. Sends calls and reads what streams
 * back. Knows no requests and no other replica.
 */
import { Agent, errors, request } from 'undici'
import { RequestError } from '../../errors.js'
import { drain, engineMessages, readText, within } from './answer-body.js'
import type { EngineCall, EngineChunk, EngineProtocol, EngineToken, EngineUsage } from './engine-call.js'
import { EngineFailure, failureOf, retryAfterOf } from './engine-failure.js'
import { ranked } from './fields.js'
import { withUnsent } from './unsent-tokens.js'

export interface StreamOptions {
  /** What the engine calls the model. */
  readonly model: string
  readonly session: string
  readonly signal: AbortSignal
  /** Told what the call took, where the engine says so. */
  readonly onUsage: (usage: EngineUsage) => void
}

export interface ReplicaOptions {
  readonly apiKey: string | null
  /** Without a byte for so long a call has failed, ms. */
  readonly timeoutMs: number
  /** So long may a call take in all, ms. */
  readonly totalTimeoutMs: number
  /** Calls that may run there at the same time. */
  readonly maxCalls: number
}

/** How long a connection may take to be made, ms. */
const connectTimeoutMs = 5000
/** A replica that failed is asked for its health after this, ms, then after twice as long, up to the most. */
const [firstPauseMs, longestPauseMs] = [250, 15_000]
/** How long an engine may take to say that it is well, ms. */
const healthTimeoutMs = 2000
/** How long what comes behind the last token is waited for, ms. */
const restMs = 500

export class Replica {
  /** Without a slash at its end. */
  readonly url: string
  readonly #options: ReplicaOptions
  readonly #agent: Agent
  /** Calls that run there. */
  inFlight = 0
  /** Since it was made. */
  readonly counters = { totalCalls: 0, failedCalls: 0, promptTokens: 0, cachedTokens: 0, generatedTokens: 0 }
  /** Failures in a row. */
  #failures = 0
  #checking: NodeJS.Timeout | undefined
  #busyUntil = 0
  /** A question for its health that is under way. */
  #checked: Promise<boolean> | null = null
  #closed = false
  /** What must be found out before it is used; null where nothing must. */
  #admit: (() => Promise<boolean>) | null = null
  #isAsked = false

  constructor (url: string, options: ReplicaOptions) {
    this.url = url
    this.#options = options
    const { timeoutMs } = options
    this.#agent = new Agent({
      connect: { timeout: Math.min(connectTimeoutMs, timeoutMs) },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      // No stream waits behind another.
      pipelining: 1
    })
  }

  /** Whether calls go there: it has not failed since it was last well, and nothing must be found out before. */
  get isWell (): boolean { return this.#failures === 0 && this.#admit === null }
  /** Whether it has asked for time. */
  get isBusy (): boolean { return performance.now() < this.#busyUntil }
  get hasRoom (): boolean { return this.inFlight < this.#options.maxCalls }

  /**
   * The tokens of one call as they come. Leaving the loop, or aborting the signal, hangs up.
   * @throws EngineFailure; the signal's reason where it is aborted
   */
  async * stream (
    protocol: EngineProtocol, call: EngineCall, { model, session, signal, onUsage }: StreamOptions
  ): AsyncGenerator<EngineToken, void, undefined> {
    const { counters } = this
    counters.totalCalls++
    const controller = new AbortController()
    const total = AbortSignal.timeout(this.#options.totalTimeoutMs)
    const either = AbortSignal.any([signal, total, controller.signal])
    try {
      const body = await this.#post(protocol.path, protocol.body(call, model), session, either)
      const count = (usage: EngineUsage): void => {
        counters.promptTokens += usage.promptTokens
        counters.cachedTokens += usage.cachedTokens ?? 0
        onUsage(usage)
      }
      const ask = async (again: object): Promise<unknown> => {
        const message = JSON.parse(await readText(await this.#post(protocol.path, again, session, either))) as unknown
        const { usage } = protocol.reader()(message)
        if (usage) count(usage)
        return message
      }
      const chunks = protocol.unsent === null
        ? chunksOf(protocol, body)
        : withUnsent(chunksOf(protocol, body), { protocol, call, model, ask })
      yield * this.#tokens(protocol, call, chunks, count)
      this.#failures = 0
    } catch (error) {
      signal.throwIfAborted()
      counters.failedCalls++
      throw this.#noted(this.#failureOf(error, total))
    } finally {
      // Where it has not ended by itself, the engine learns of it by the closed connection.
      controller.abort(new Error('the call has ended'))
    }
  }

  async * #tokens (
    protocol: EngineProtocol, call: EngineCall, chunks: AsyncGenerator<EngineChunk, void, undefined>,
    onUsage: StreamOptions['onUsage']
  ): AsyncGenerator<EngineToken, void, undefined> {
    let finish: string | null = null
    let drawn = 0
    try {
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
        const chunk = next.value
        finish = chunk.finish ?? finish
        if (chunk.usage) onUsage(chunk.usage)
        for (const { token, logprob, top } of chunk.tokens) {
          if (++drawn > call.maxTokens) throw new Error(`must send at most ${call.maxTokens} tokens`)
          this.counters.generatedTokens++
          const before = call.heads ? { before: call.heads.values(top) } : {}
          yield { token, logprob, top: ranked(top, call.alternatives), ...before }
        }
      }
      // A stream that ends without a reason has lost its engine, however cleanly it ends.
      if (finish === null || !protocol.finished.includes(finish)) {
        throw new EngineFailure('lost', finish === null ? 'broke off its answer' : `ended its answer with ${finish}`)
      }
      if (drawn === 0) throw new EngineFailure('lost', `ended with ${finish} without a token`)
    } finally {
      // Who has the last token leaves; what is behind it says what the call took, and keeps the connection.
      if (finish !== null) await within(restMs, drain(chunks, onUsage))
    }
  }

  /** The answer's body. @throws EngineFailure for a status other than 200 */
  async #post (
    path: string, body: object, session: string, signal: AbortSignal
  ): Promise<AsyncIterable<Uint8Array>> {
    const send = (): ReturnType<typeof request> => request(`${this.url}${path}`, {
      method: 'POST',
      headers: { ...this.#headers(), 'content-type': 'application/json', 'x-session-id': session },
      body: JSON.stringify(body),
      dispatcher: this.#agent,
      signal
    })
    // Engines close connections that were not used for a while, also while a call is on its way: that says nothing of
    // how they are.
    const { statusCode, headers, body: answer } = await send().catch((error: unknown) => {
      if (isClosed(error)) return send()
      throw error
    })
    if (statusCode === 200) return answer as AsyncIterable<Uint8Array>
    const text = await readText(answer as AsyncIterable<Uint8Array>)
    throw failureOf(statusCode, text, retryAfterOf(headers['retry-after']))
  }

  /**
   * One answer in JSON, or as text where it is none.
   * @param body sent by POST; absent: GET
   * @throws Error in words that follow "the engine"
   */
  async ask (
    path: string, body?: object, timeoutMs = this.#options.timeoutMs
  ): Promise<{ readonly status: number, readonly json: unknown }> {
    try {
      const { statusCode: status, body: answer } = await request(`${this.url}${path}`, {
        method: body ? 'POST' : 'GET',
        headers: { ...this.#headers(), ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(timeoutMs)
      })
      const text = await readText(answer as AsyncIterable<Uint8Array>)
      try {
        return { status, json: JSON.parse(text) as unknown }
      } catch {
        return { status, json: text }
      }
    } catch (error) {
      throw error instanceof EngineFailure ? error : new EngineFailure('lost', why(error), { cause: error })
    }
  }

  #headers (): Record<string, string> {
    const { apiKey } = this.#options
    return apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }
  }

  /** Whether it says that it is well; a replica that is not is asked again by itself until it is. */
  check (): Promise<boolean> {
    return (this.#checked ??= this.#askHealth().finally(() => { this.#checked = null }))
  }

  async #askHealth (): Promise<boolean> {
    const isWell =
      await this.ask('/health', undefined, healthTimeoutMs).then(({ status }) => status === 200, () => false)
    if (isWell && this.#admit === null) this.#failures = 0
    else this.#fail()
    if (isWell) this.#askAdmission()
    return this.isWell
  }

  /**
   * Keeps calls away until something was found out, which is tried whenever it says that it is well.
   * @param admit whether it may be used; where it fails, it is tried again
   */
  admitAfter (admit: () => Promise<boolean>): void {
    this.#admit = admit
    this.#fail()
  }

  #askAdmission (): void {
    if (this.#admit === null || this.#isAsked) return
    this.#isAsked = true
    this.#admit().then(isAdmitted => {
      if (!isAdmitted) return
      this.#admit = null
      this.#failures = 0
    }).catch(() => {}).finally(() => { this.#isAsked = false })
  }

  async close (): Promise<void> {
    this.#closed = true
    clearTimeout(this.#checking)
    await this.#agent.destroy()
  }

  #failureOf (error: unknown, total: AbortSignal): EngineFailure {
    if (error instanceof EngineFailure) return error
    if (total.aborted) {
      return new EngineFailure('lost', `took more than ${this.#options.totalTimeoutMs} ms for an answer`)
    }
    if (error instanceof errors.UndiciError || (error as NodeJS.ErrnoException).code !== undefined) {
      return new EngineFailure('lost', why(error), { cause: error })
    }
    // What the reader of a message says.
    return new EngineFailure('lost', error instanceof Error ? error.message : String(error), { cause: error })
  }

  /** Remembers what a failure says of the replica. */
  #noted (failure: EngineFailure): EngineFailure {
    if (failure.kind === 'lost') this.#fail()
    if (failure.kind === 'busy') this.#busyUntil = performance.now() + (failure.retryAfterMs ?? 100)
    return failure
  }

  #fail (): void {
    this.#failures++
    if (this.#checking || this.#closed) return
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this.#failures - 1, 10))
    this.#checking = setTimeout(() => {
      this.#checking = undefined
      this.check().catch(() => {})
    }, pauseMs).unref()
  }
}

/** The chunks of an answer that streams. */
async function * chunksOf (
  protocol: EngineProtocol, body: AsyncIterable<Uint8Array>
): AsyncGenerator<EngineChunk, void, undefined> {
  const read = protocol.reader()
  for await (const message of engineMessages(body)) yield read(message)
}

/** Whether the other side has closed the connection. */
const isClosed = (error: unknown): boolean =>
  error instanceof errors.SocketError || ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')

/** Why a call failed on its way, in words that follow "the engine". */
function why (error: unknown): string {
  if (error instanceof RequestError) return error.message
  if (error instanceof errors.ConnectTimeoutError) return 'cannot be reached (timed out)'
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError ||
      (error as Error).name === 'TimeoutError') return 'sent nothing for too long'
  if (error instanceof errors.SocketError) return 'closed the connection'
  const { code } = error as NodeJS.ErrnoException
  return code === undefined ? `failed (${(error as Error).message})` : `cannot be reached (${code})`
}
