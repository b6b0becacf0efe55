/**
 * One WebSocket of JSON messages: pings, no faster than its reader reads, a bound of requests in flight, all of which
 * end with it. What the messages mean is up to its user.
 */
import { randomBytes } from 'node:crypto'
import type { WebSocket } from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { RequestError, requestCancelled } from '../../errors.js'
import { isObject } from '../../validation.js'
import { reportedError, toRequestError } from '../plugins/error-handler.js'
import { messageLogEntry } from '../plugins/logging.js'
import type { Requester, Services } from '../services.js'
import { readJson } from './read-json.js'
import { Turns } from './turns.js'

/** Bytes that may wait to be sent before events wait too. */
const maxBufferedBytes = 1 << 20

/** WebSocket close code "policy violation". */
const policy = 1008

/** A message that came: any JSON object. */
export type Message = Readonly<Record<string, unknown>>

/** One open socket. */
export class JsonSocket {
  readonly #socket: WebSocket
  readonly #request: FastifyRequest
  readonly #services: Services
  readonly #running = new Set<AbortController>()
  readonly #ping: NodeJS.Timeout
  /** When all requests so far have begun, or were refused: they begin in the order in which they came. */
  #begun: Promise<unknown> = Promise.resolve()
  /** Bytes of the message that is being received. */
  #received = 0
  /** What the last ping carried, until the client has sent it back; null then. */
  #pinged: Buffer | null = null

  /**
   * Listens at once: a message that comes with the handshake would be lost otherwise.
   * @param request the handshake
   * @param receive called with every message that is a JSON object; what it throws is sent as an error
   */
  constructor (
    socket: WebSocket, request: FastifyRequest, services: Services, receive: (message: Message) => void
  ) {
    this.#socket = socket
    this.#request = request
    this.#services = services
    socket.setMaxListeners(0)
    const turns = new Turns()
    socket.on('message', data => {
      // One message in each turn; no further ones are read before all of this packet are taken.
      socket.pause()
      turns.take(() => {
        if (this.#isOpen) this.#takeMessage(data as Buffer, receive)
        if (turns.isEmpty) socket.resume()
      })
    })
    socket.on('pong', data => { if (this.#pinged?.equals(data)) this.#pinged = null })
    socket.on('close', () => { this.#end() })
    socket.on('error', () => { socket.terminate() })
    this.#ping = setInterval(() => { this.#checkAlive() }, services.config.webSocketPingMs)
  }

  #takeMessage (bytes: Buffer, receive: (message: Message) => void): void {
    this.#received = bytes.length
    try {
      receive(parseMessage(bytes, this.#services.config.bodyLimitBytes))
    } catch (error) {
      this.sendError(error)
    }
  }

  /** A ping is answered by who has read all that was sent before it: it carries what nobody can guess. */
  #checkAlive (): void {
    if (this.#pinged) return this.#socket.terminate()
    this.#pinged = randomBytes(8)
    this.#socket.ping(this.#pinged)
  }

  /** The client disconnected, or the server did: its requests end. */
  #end (): void {
    clearInterval(this.#ping)
    for (const controller of this.#running) controller.abort(requestCancelled())
  }

  get #isOpen (): boolean { return this.#socket.readyState === this.#socket.OPEN }

  /** Sends an event; waits if the reader is behind. */
  async send (event: object): Promise<void> {
    if (!this.#isOpen) return
    const text = JSON.stringify(event)
    if (this.#socket.bufferedAmount <= maxBufferedBytes) return this.#socket.send(text)
    const cutOff = setTimeout(() => { this.#socket.terminate() }, this.#services.config.slowReaderTimeoutMs)
    await new Promise<void>(resolve => { this.#socket.send(text, () => { resolve() }) })
    clearTimeout(cutOff)
  }

  /**
   * Sends an error. The socket stays open, unless its client makes errors and reads none.
   * @param fields what says which request it is of
   */
  sendError (error: unknown, fields: object = {}): void {
    const reported = reportedError(error, this.#request.log)
    if (this.#socket.bufferedAmount > maxBufferedBytes) return this.#socket.close(policy, 'errors are not read')
    this.send({
      type: 'error',
      ...fields,
      status: reported.status,
      ...reported.toBody(),
      ...(reported.retryAfterMs === null ? {} : { retry_after_ms: reported.retryAfterMs })
    }).catch(console.error)
  }

  /**
   * Holds what a message takes until its work has ended.
   * @throws RequestError at a limit of the socket or of the caller's bytes, and while the server is draining
   */
  #hold (): () => void {
    this.#services.refuseIfDraining()
    const max = this.#services.config.maxRequestsPerSocket
    if (this.#running.size >= max) {
      throw new RequestError('rate_limit_exceeded',
        `${max} requests are running on this socket already (max-requests-per-socket)`, { retryAfterMs: 1000 })
    }
    const forget = this.#services.pending.take(this.#request.caller.turn, this.#received)
    const release = this.#services.hold()
    return () => {
      forget()
      release()
    }
  }

  /** @returns what ends it; @throws RequestError rate_limit_exceeded at a limit of the caller; store_unavailable */
  async #begin (): Promise<() => void> {
    const { caller } = this.#request
    await caller.countRequest()
    await this.#services.refreshRewards()
    return await this.#services.begin(caller)
  }

  /**
   * Begins a request after those before it, which counts until its work has ended; an error is sent.
   * @param fields what its events carry, and its line in the log
   * @returns what cancels it, and when it has ended
   * @throws RequestError rate_limit_exceeded at a limit of the socket, unavailable while the server is draining
   */
  run (fields: object, work: (requester: Requester, signal: AbortSignal) => Promise<void>): {
    readonly controller: AbortController, readonly ended: Promise<void>
  } {
    const logEntry = messageLogEntry(this.#request, fields)
    const close = (error: unknown): void => {
      const status = error === null ? 200 : toRequestError(error).status
      logEntry.close({ status, isDisconnected: error !== null && !this.#isOpen })
    }
    let release: () => void
    try {
      release = this.#hold()
    } catch (error) {
      close(error)
      throw error
    }
    const controller = new AbortController()
    const { signal } = controller
    this.#running.add(controller)
    const begun = this.#begun.then(() => this.#begin())
    this.#begun = begun.catch(() => {})
    const ended = begun.then(end => work({ caller: this.#request.caller, logEntry }, signal).finally(end))
      .then(() => { close(null) }, (error: unknown) => {
        const reason = signal.aborted ? signal.reason : error
        this.sendError(reason, fields)
        close(reason)
      }).finally(() => {
        release()
        this.#running.delete(controller)
      })
    return { controller, ended }
  }
}

function parseMessage (bytes: Buffer, limit: number): Message {
  const value = readJson(bytes, 'a message', limit)
  if (!isObject(value)) throw new RequestError('invalid_request', 'a message must be a JSON object')
  return value
}
