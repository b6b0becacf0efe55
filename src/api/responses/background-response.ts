/**
 * A response that is written whether or not anybody reads: it can be read from any event on, by any number of readers,
 * and cancelled.
 */
import { EventEmitter, once } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import { requestCancelled } from '../../errors.js'
import type { GenerationEvent } from '../../serving/protocol.js'
import { reportedError } from '../plugins/error-handler.js'
import type { ResponseFormatter } from './response-formatter.js'
import type { KeptResponse } from './stored-response.js'
import type { ResponseRequest } from './response-create-schema.js'
import type { ResponseEvent } from './response-types.js'

/** One response that is written by itself. `run` is called once. */
export class BackgroundResponse {
  readonly #request: ResponseRequest
  readonly #formatter: ResponseFormatter
  readonly #controller = new AbortController()
  /** By sequence number; empty where nobody may read them. */
  readonly #events: ResponseEvent[] = []
  readonly #changes = new EventEmitter().setMaxListeners(0)

  constructor (request: ResponseRequest, formatter: ResponseFormatter) {
    this.#request = request
    this.#formatter = formatter
    this.#add(formatter.queued())
  }

  get kept (): KeptResponse {
    return {
      input: this.#request.input,
      response: this.#formatter.completion(),
      isBackground: true,
      events: this.#request.stream ? [...this.#events] : null
    }
  }

  #add (events: readonly ResponseEvent[]): void {
    if (this.#request.stream) this.#events.push(...events)
    this.#changes.emit('change')
  }

  /** Works until the response has ended, however it ends. @param work starts it */
  async run (
    work: (signal: AbortSignal) => AsyncIterable<GenerationEvent>, log: Pick<FastifyBaseLogger, 'error'>
  ): Promise<void> {
    try {
      for await (const event of work(this.#controller.signal)) {
        // Events may still come that were on their way when it was cancelled.
        if (this.#formatter.hasEnded) return
        this.#add(this.#formatter.chunks(event))
      }
    } catch (error) {
      this.#add(this.#formatter.failure(reportedError(error, log)))
    }
  }

  /** Ends it, if it has not ended. */
  cancel (): void {
    this.#formatter.cancel()
    this.#controller.abort(requestCancelled())
    this.#changes.emit('change')
  }

  /** Its events, as they come. @param after the sequence number before the first */
  async * read (after: number, signal: AbortSignal): AsyncGenerator<ResponseEvent, void, undefined> {
    for (let next = after + 1; ; next++) {
      while (next >= this.#events.length) {
        if (this.#formatter.hasEnded) return
        await once(this.#changes, 'change', { signal })
      }
      yield this.#events[next]!
    }
  }
}
