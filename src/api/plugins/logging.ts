/**
 * The access log: one line for every request, on HTTP and over WebSockets, whether it was answered, refused or its
 * client disconnected.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Metrics } from '../../metrics/metrics.js'

declare module 'fastify' {
  interface FastifyRequest { logEntry: LogEntry }
}

/** The status of requests whose client disconnected before they were answered, as nginx has it. */
const clientClosedRequest = 499

/** What probes and scrapers ask every few seconds: logged at level debug. */
export const probes: readonly string[] = ['/health', '/ping', '/ready', '/metrics']

/** How a request ended. */
interface Outcome {
  readonly status: number
  /** Whether its client disconnected before it was answered. */
  readonly isDisconnected: boolean
}

/** What a line says beside the request's id. */
interface LogFields {
  readonly status: number
  /** Until the request was over, milliseconds. */
  readonly ms: number
  /** Tokens drawn for it, discarded candidates too. */
  readonly tokens?: number
  readonly disconnected?: true
}

/** The line of one request. It is written when the request is over and the tokens that it drew are known. */
export class LogEntry {
  readonly #write: (fields: LogFields) => void
  readonly #began = performance.now()
  /** What the line waits for: the request itself, and generations whose tokens are not known yet. */
  #open = 1
  #tokens: number | null = null
  #fields: LogFields | null = null

  constructor (write: (fields: LogFields) => void) { this.#write = write }

  /** The line waits until `release` is called, as often as this was. */
  hold (): void { this.#open++ }

  release (): void {
    if (--this.#open > 0) return
    this.#write({ ...this.#fields!, ...(this.#tokens === null ? {} : { tokens: this.#tokens }) })
  }

  addTokens (count: number): void { this.#tokens = (this.#tokens ?? 0) + count }

  /** The request is over. To be called once. */
  close ({ status, isDisconnected }: Outcome): void {
    this.#fields = {
      status, ms: Math.round(performance.now() - this.#began), ...(isDisconnected ? { disconnected: true } : {})
    }
    this.release()
  }
}

/** A line's message. */
const messageOf = ({ disconnected }: LogFields): string => disconnected ? 'client disconnected' : 'answered'

/** The entry of a request that came as a message. @param own what tells it from others of its socket */
export function messageLogEntry ({ log, url, caller }: FastifyRequest, own: object): LogEntry {
  return new LogEntry(fields => {
    log.info({ method: 'WEBSOCKET', url, ...own, ...fields, caller: caller.name }, messageOf(fields))
  })
}

function outcomeOf ({ ws }: FastifyRequest, { raw, statusCode }: FastifyReply): Outcome {
  if (raw.writableFinished) return { status: statusCode, isDisconnected: false }
  // Of a WebSocket nothing is written through the response.
  return ws ? { status: 101, isDisconnected: false } : { status: clientClosedRequest, isDisconnected: true }
}

/** Gives a request its entry, and counts it for the metrics. */
export function logRequest (request: FastifyRequest, reply: FastifyReply, metrics: Metrics): void {
  const { method, url, routeOptions } = request
  const level = probes.includes(routeOptions.url ?? '') ? 'debug' : 'info'
  request.logEntry = new LogEntry(fields => {
    const caller = request.caller ? { caller: request.caller.name } : {}
    request.log[level]({ method, url, ...fields, ...caller }, messageOf(fields))
  })
  // Fastify runs onResponse for responses that were written to their end only, and onRequestAbort only while the body
  // is still being read.
  reply.raw.once('close', () => {
    const outcome = outcomeOf(request, reply)
    metrics.answered(routeOptions.url ?? 'none', method, outcome.status)
    request.logEntry.close(outcome)
  })
}

/** To be called before any other hook. */
export function installLogging (app: FastifyInstance, metrics: Metrics): void {
  app.decorateRequest('logEntry', null as unknown as LogEntry)
  app.addHook('onRequest', async (request, reply) => { logRequest(request, reply, metrics) })
}
