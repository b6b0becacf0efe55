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
import { bytesOf, keptEvent, keptText, type KeptResponse, type KeptText } from './stored-response.js'
import type { ResponseRequest } from './response-create-schema.js'
import type { ResponseEvent } from './response-types.js'

/** One response that is written by itself. `run` is called once. */
export class BackgroundResponse {
  readonly #request: ResponseRequest
  readonly #formatter: ResponseFormatter
  readonly #controller = new AbortController()
  /** By sequence number; empty where nobody may read them. */
  readonly #events: KeptText[] = []
  readonly #changes = new EventEmitter().setMaxListeners(0)

  constructor (request: ResponseRequest, formatter: ResponseFormatter) {
    this.#request = request
    this.#formatter = formatter
    this.#add(formatter.queued())
  }

  /** Bytes of its events so far. */
  get eventBytes (): number { return this.#events.reduce((sum, event) => sum + bytesOf(event), 0) }

  get kept (): KeptResponse {
    return {
      input: this.#request.input,
      response: this.#formatter.completion(),
      isBackground: true,
      events: this.#request.stream ? [...this.#events] : null
    }
  }

  /** @returns bytes more that are kept */
  #add (events: readonly ResponseEvent[]): number {
    const texts = this.#request.stream ? events.map(keptText) : []
    this.#events.push(...texts)
    this.#changes.emit('change')
    return texts.reduce((sum, text) => sum + bytesOf(text), 0)
  }

  /**
   * Works until the response has ended, however it ends.
   * @param work starts it
   * @param hold is told of bytes that are kept; where it throws the response fails
   */
  async run (
    work: (signal: AbortSignal) => AsyncIterable<GenerationEvent>, hold: (bytes: number) => void,
    log: Pick<FastifyBaseLogger, 'error'>
  ): Promise<void> {
    try {
      for await (const event of work(this.#controller.signal)) {
        // Events may still come that were on their way when it was cancelled.
        if (this.#formatter.hasEnded) return
        hold(this.#add(await this.#formatter.chunks(event)))
      }
    } catch (error) {
      this.#add(await this.#formatter.failure(reportedError(error, log)))
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
      yield keptEvent(this.#events[next]!)
    }
  }
}
