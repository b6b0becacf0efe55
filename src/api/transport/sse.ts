/** Server-sent events over one response: frames, keep-alives, and no faster than the reader reads. */
import { once } from 'node:events'
import type { FastifyReply } from 'fastify'
import { cutOffSlowReader, pieces } from './slow-reader.js'

/** How long a stream may be silent, ms: proxies close what says nothing. */
const keepAliveMs = 10_000

/** One reply that is sent as events. */
export class EventStream {
  readonly #reply: FastifyReply
  readonly #slowReaderTimeoutMs: number
  readonly #keepAlive: NodeJS.Timeout

  /**
   * Sends the headers. From here on errors are frames.
   * @param slowReaderTimeoutMs how long the reader may take nothing before it is cut off
   */
  constructor (reply: FastifyReply, slowReaderTimeoutMs: number) {
    this.#reply = reply
    this.#slowReaderTimeoutMs = slowReaderTimeoutMs
    reply.hijack()
    reply.header('openai-processing-ms', Math.round(reply.elapsedTime))
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value)
    }
    reply.raw.writeHead(200,
      { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' })
    reply.raw.flushHeaders()
    this.#keepAlive = setInterval(() => { this.#sayAlive() }, keepAliveMs)
    reply.raw.once('close', () => { clearInterval(this.#keepAlive) })
  }

  /** Nothing is said in the middle of a frame that waits for its reader. */
  #sayAlive (): void {
    const { raw } = this.#reply
    if (!raw.writableNeedDrain) raw.write(': keep-alive\n\n')
  }

  /** Sends one frame, under the name of its type if it has one; waits if the reader is behind. */
  async send (data: string | object, signal: AbortSignal): Promise<void> {
    const name = typeof data === 'object' && 'type' in data ? `event: ${String(data.type)}\n` : ''
    const frame = `${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
    for (const piece of pieces(frame)) if (!this.#reply.raw.write(piece)) await this.#drained(signal)
  }

  async #drained (signal: AbortSignal): Promise<void> {
    const { raw } = this.#reply
    const stop = cutOffSlowReader(raw, this.#slowReaderTimeoutMs)
    try {
      await once(raw, 'drain', { signal })
    } finally {
      stop()
    }
  }

  end (): void {
    clearInterval(this.#keepAlive)
    this.#reply.raw.end()
    cutOffSlowReader(this.#reply.raw, this.#slowReaderTimeoutMs)
  }
}
