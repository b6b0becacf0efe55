/** Server-sent events over one response: frames, keep-alives, and no faster than the reader reads. */
import { once } from 'node:events'
import type { FastifyReply } from 'fastify'

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
    this.#keepAlive = setInterval(() => { this.#reply.raw.write(': keep-alive\n\n') }, keepAliveMs)
  }

  /** Sends one frame, under the name of its type if it has one; waits if the reader is behind. */
  async send (data: string | object, signal: AbortSignal): Promise<void> {
    const name = typeof data === 'object' && 'type' in data ? `event: ${String(data.type)}\n` : ''
    if (this.#reply.raw.write(`${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`)) return
    const cutOff = setTimeout(() => { this.#reply.raw.destroy() }, this.#slowReaderTimeoutMs)
    try {
      await once(this.#reply.raw, 'drain', { signal })
    } finally {
      clearTimeout(cutOff)
    }
  }

  end (): void {
    clearInterval(this.#keepAlive)
    this.#reply.raw.end()
  }
}
