/**
 * One WebSocket of JSON messages: pings, no faster than its reader reads, a bound of requests in flight, all of which
 * end with it. What the messages mean is up to its user.
 */
import type { WebSocket } from '@fastify/websocket'
import { RequestError } from '../../errors.js'
import { isObject } from '../../validation.js'
import { toRequestError } from '../plugins/error-handler.js'
import type { Caller } from '../plugins/keys.js'
import { refuseDeep } from '../plugins/nesting-limit.js'
import type { Services } from '../services.js'

/** Bytes that may wait to be sent before events wait too. */
const mostBufferedBytes = 1 << 20

/** WebSocket close code "policy violation". */
const policy = 1008

/** A message that came: any JSON object. */
export type Message = Readonly<Record<string, unknown>>

/** What the message of a request is told if it fails. */
export interface RunOptions {
  readonly caller: Caller
  readonly work: (signal: AbortSignal) => Promise<void>
  readonly onError: (error: unknown) => void
}

/** One open socket. */
export class JsonSocket {
  readonly #socket: WebSocket
  readonly #services: Services
  readonly #running = new Set<AbortController>()
  readonly #ping: NodeJS.Timeout
  #alive = true

  /**
   * Listens at once: a message that comes with the handshake would be lost otherwise.
   * @param receive told every message that is a JSON object; what it throws is sent as an error
   */
  constructor (socket: WebSocket, services: Services, receive: (message: Message) => void) {
    this.#socket = socket
    this.#services = services
    socket.setMaxListeners(0)
    socket.on('message', data => {
      try {
        receive(parseMessage(String(data)))
      } catch (error) {
        this.sendError(error)
      }
    })
    socket.on('pong', () => { this.#alive = true })
    socket.on('close', () => { this.#end() })
    socket.on('error', () => { socket.terminate() })
    this.#ping = setInterval(() => { this.#checkAlive() }, services.config.webSocketPingMs)
  }

  #checkAlive (): void {
    if (!this.#alive) return this.#socket.terminate()
    this.#alive = false
    this.#socket.ping()
  }

  /** The caller left, or the server does: its requests end. */
  #end (): void {
    clearInterval(this.#ping)
    for (const controller of this.#running) controller.abort(new RequestError('request_cancelled', 'the caller left'))
  }

  /** Sends an event; waits if the reader is behind. */
  async send (event: object): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    const text = JSON.stringify(event)
    if (this.#socket.bufferedAmount <= mostBufferedBytes) return this.#socket.send(text)
    const cutOff = setTimeout(() => { this.#socket.terminate() }, this.#services.config.slowReaderTimeoutMs)
    await new Promise<void>(resolve => { this.#socket.send(text, () => { resolve() }) })
    clearTimeout(cutOff)
  }

  /**
   * Tells of an error. The socket stays, unless its caller makes errors and reads none.
   * @param fields what says which request it is of
   */
  sendError (error: unknown, fields: object = {}): void {
    const told = toRequestError(error)
    if (told.code === 'internal_error') console.error(error)
    if (this.#socket.bufferedAmount > mostBufferedBytes) return this.#socket.close(policy, 'errors are not read')
    this.send({
      type: 'error',
      ...fields,
      status: told.status,
      ...told.toBody(),
      ...(told.retryAfterMs === null ? {} : { retry_after_ms: told.retryAfterMs })
    }).catch(console.error)
  }

  /**
   * Begins a request, which counts until its work has ended.
   * @returns what cancels it
   * @throws RequestError rate_limit_exceeded at a limit of the socket or of the caller, unavailable while the server is
   * draining
   */
  run ({ caller, work, onError }: RunOptions): AbortController {
    this.#services.refuseIfDraining()
    const most = this.#services.config.maxRequestsPerSocket
    if (this.#running.size >= most) {
      throw new RequestError('rate_limit_exceeded',
        `${most} requests are running on this socket already (max-requests-per-socket)`, { retryAfterMs: 1000 })
    }
    const release = this.#services.begin(caller, null)
    const controller = new AbortController()
    this.#running.add(controller)
    work(controller.signal)
      .catch((error: unknown) => { onError(controller.signal.aborted ? controller.signal.reason : error) })
      .finally(() => {
        release()
        this.#running.delete(controller)
      })
    return controller
  }
}

function parseMessage (text: string): Message {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new RequestError('invalid_request',
      `a message must be JSON (${cause instanceof Error ? cause.message : 'it cannot be parsed'})`, { cause })
  }
  if (!isObject(value)) throw new RequestError('invalid_request', 'a message must be a JSON object')
  refuseDeep(value)
  return value
}
