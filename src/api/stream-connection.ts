/**
 * One WebSocket of `/v1/stream`: any number of requests by id, their events, cancel. A request's error is an event; the socket
 * stays. A reader that is behind slows only its own events.
 */
import type { WebSocket } from '@fastify/websocket'
import { RequestError } from '../errors.js'
import type { GenerationEvent } from '../inference/protocol.js'
import { candidateObject } from './alignment-format.js'
import { toRequestError } from './error-handler.js'
import type { Caller } from './keys.js'
import { ChatFormatter } from './openai-format.js'
import { parseChatCompletion } from './schemas/chat-completion.js'
import type { Services } from './services.js'

/** Bytes that may wait to be sent before events wait too. */
const mostBufferedBytes = 1 << 20

type Message = { readonly type?: unknown, readonly id?: unknown, readonly request?: unknown }

export class StreamConnection {
  readonly #socket: WebSocket
  readonly #services: Services
  readonly #caller: Caller
  readonly #running = new Map<string, AbortController>()
  readonly #ping: NodeJS.Timeout
  #alive = true

  constructor (socket: WebSocket, services: Services, caller: Caller) {
    this.#socket = socket
    this.#services = services
    this.#caller = caller
    socket.on('message', data => { this.#receive(String(data)) })
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
    for (const controller of this.#running.values()) controller.abort(new RequestError('request_cancelled', 'the caller left'))
  }

  async #send (event: object): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    const text = JSON.stringify(event)
    if (this.#socket.bufferedAmount <= mostBufferedBytes) return this.#socket.send(text)
    const cutOff = setTimeout(() => { this.#socket.terminate() }, this.#services.config.slowReaderTimeoutMs)
    await new Promise<void>(resolve => { this.#socket.send(text, () => { resolve() }) })
    clearTimeout(cutOff)
  }

  #sendError (id: string | null, error: unknown): void {
    const told = toRequestError(error)
    if (told.code === 'internal_error') console.error(error)
    this.#send({ type: 'error', id, ...told.toBody() }).catch(console.error)
  }

  #receive (text: string): void {
    let id: string | null = null
    try {
      const message = parseMessage(text)
      id = typeof message.id === 'string' && message.id !== '' ? message.id : null
      if (id === null) throw new RequestError('invalid_request', `id must be a text; got ${JSON.stringify(message.id)}`, { param: 'id' })
      if (message.type === 'cancel') this.#cancel(id)
      else if (message.type === 'create') this.#create(id, message.request)
      else throw new RequestError('invalid_request', `type must be one of create, cancel; got ${JSON.stringify(message.type)}`, { param: 'type' })
    } catch (error) {
      this.#sendError(id, error)
    }
  }

  #cancel (id: string): void {
    const controller = this.#running.get(id)
    if (!controller) throw new RequestError('invalid_request', `no request with id ${JSON.stringify(id)} is running`, { param: 'id' })
    controller.abort(new RequestError('request_cancelled', 'the request was cancelled'))
  }

  #create (id: string, body: unknown): void {
    this.#services.refuseIfDraining()
    const most = this.#services.config.maxRequestsPerSocket
    if (this.#running.has(id)) throw new RequestError('invalid_request', `a request with id ${JSON.stringify(id)} is running already`, { param: 'id' })
    if (this.#running.size >= most) throw new RequestError('rate_limit_exceeded', `${most} requests are running on this socket already (max-requests-per-socket)`, { retryAfterMs: 1000 })
    const release = this.#caller.take()
    const controller = new AbortController()
    this.#running.set(id, controller)
    this.#run(id, body, controller.signal)
      .catch((error: unknown) => { this.#sendError(id, controller.signal.aborted ? controller.signal.reason : error) })
      .finally(() => {
        release()
        this.#running.delete(id)
      })
  }

  async #run (id: string, body: unknown, signal: AbortSignal): Promise<void> {
    const request = parseChatCompletion(body, this.#services.profiles)
    const formatter = new ChatFormatter(request, this.#services.inference.model)
    for await (const event of this.#services.generate(request.generate, this.#caller, signal)) {
      if (event.type === 'start') await this.#send({ type: 'created', id, seed: event.start.seed, strategy: event.start.strategy, ignored: request.ignored })
      for (const chunk of formatter.chunks(event)) await this.#send({ type: 'chunk', id, chunk })
      const own = ownEvent(event)
      if (own) await this.#send({ id, ...own })
    }
    await this.#send({ type: 'completed', id, completion: formatter.completion() })
  }
}

function parseMessage (text: string): Message {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new RequestError('invalid_request', `a message must be JSON (${cause instanceof Error ? cause.message : 'it cannot be parsed'})`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new RequestError('invalid_request', 'a message must be a JSON object')
  return value
}

/** Events that OpenAI's chunks have no place for. */
function ownEvent (event: GenerationEvent): object | null {
  if (event.type === 'candidate') return { type: event.candidate.prunedAt === null ? 'candidate' : 'pruned', candidate: candidateObject(event.candidate) }
  return event.type === 'selection' ? { type: 'selection', candidate_indices: event.candidateIndices } : null
}
