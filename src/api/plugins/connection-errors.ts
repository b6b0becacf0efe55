/**
 * Errors of a connection that is no request, or not yet a whole one: what cannot be parsed, headers that are too large,
 * a request that is not sent to its end. They are answered and logged as errors of requests are.
 */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { RequestError } from '../../errors.js'
import type { Metrics } from '../../metrics/metrics.js'
import { stoppedReading } from '../transport/stop-reading.js'
import { sendError, toRequestError } from './error-handler.js'
import { firstHeaders } from './headers.js'

/** How long a client may go on sending before the connection is closed, so that it reads the answer, ms. */
const lingerMs = 1000

/** The connections of one server. */
export class ConnectionErrors {
  readonly #metrics: Metrics
  #log: FastifyInstance['log'] | null = null
  /** The last request that was begun on a connection. */
  readonly #replies = new WeakMap<Socket, FastifyReply>()

  constructor (metrics: Metrics) { this.#metrics = metrics }

  /** To be called before keys are asked for. */
  install (app: FastifyInstance): void {
    this.#log = app.log
    app.addHook('onRequest', async ({ raw }, reply) => { this.#replies.set(raw.socket, reply) })
    app.server.on('connect', ({ url }, socket) => {
      this.#answer(socket as Socket, new RequestError('method_not_allowed',
        `CONNECT leads nowhere: this server is no proxy; got ${JSON.stringify(url)}`))
    })
    // Expectations other than 100-continue may be ignored, as RFC 9110 §10.1.1 has it.
    app.server.on('checkExpectation', (request, response) => { app.server.emit('request', request, response) })
  }

  /** What Node says of a connection. */
  handle (error: Error & { code?: string }, socket: Socket): void {
    // It was refused when the reading was stopped.
    if (error.code === stoppedReading) return
    const reply = this.#replies.get(socket)
    const isPending = reply !== undefined && !reply.raw.closed
    const isAnswered = isPending ? reply.sent || reply.raw.headersSent : reply?.request.raw.complete === false
    // A part of the answer may have been sent already, or the whole of it before the body.
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswered) {
      socket.destroy(error)
    } else if (isPending) {
      sendError(reply.header('connection', 'close'), toRequestError(error))
    } else {
      this.#answer(socket, toRequestError(error))
    }
  }

  /** Answers a request that is not begun, and closes its connection. */
  refuse (response: ServerResponse, error: RequestError): void {
    const { headers, body } = this.#write(error)
    response.writeHead(error.status, headers).end(body)
  }

  /** Answers what is no request. */
  #answer (socket: Socket, error: RequestError): void {
    const { headers, body } = this.#write(error)
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${lines.join('')}\r\n${body}`)
    setTimeout(() => { socket.destroy() }, lingerMs).unref()
  }

  /** What such an answer says. It is logged and counted. */
  #write (error: RequestError): { headers: Record<string, string | number>, body: string } {
    const { status } = error
    const id = `req_${randomUUID()}`
    const body = JSON.stringify(error.toBody())
    this.#metrics.answered('none', 'none', status)
    this.#log?.info({ reqId: id, status, ms: 0 }, error.message)
    return {
      headers: {
        ...firstHeaders(id),
        'content-type': 'application/json; charset=utf-8',
        'content-length': Buffer.byteLength(body),
        connection: 'close'
      },
      body
    }
  }
}
