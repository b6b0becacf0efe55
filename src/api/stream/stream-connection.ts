/** One WebSocket of `/v1/stream`: any number of requests by id, their events, cancel. */
import type { WebSocket } from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { refuse } from '../../validation.js'
import type { GenerationEvent } from '../../serving/protocol.js'
import { RequestError, requestCancelled } from '../../errors.js'
import { shownNames } from '../plugins/validation.js'
import { candidateObject } from '../alignment/alignment-formatter.js'
import { JsonSocket, type Message } from '../transport/json-socket.js'
import { ChatFormatter } from '../chat/chat-formatter.js'
import { chatCompletionBody, parseChatCompletion } from '../chat/chat-completion-schema.js'
import type { Requester, Services } from '../services.js'
import { chatEvents } from '../chat/stored-completions.js'

/** Every event carries the id of its request. */
const maxIdLength = 128

/** One socket that speaks it. */
export class StreamConnection {
  readonly #socket: JsonSocket
  readonly #services: Services
  readonly #running = new Map<string, AbortController>()

  constructor (socket: WebSocket, request: FastifyRequest, services: Services) {
    this.#services = services
    this.#socket = new JsonSocket(socket, request, services, message => { this.#receive(message) })
  }

  #receive (message: Message): void {
    const { id, type, request } = message
    if (typeof id !== 'string' || id === '' || id.length > maxIdLength) {
      return this.#socket.sendError(refuse('id', `must be a string of 1 to ${maxIdLength} characters`, id), { id: null })
    }
    try {
      if (type === 'cancel') this.#cancel(id)
      else if (type === 'create') this.#create(id, request)
      else throw refuse('type', 'must be one of create, cancel', type)
    } catch (error) {
      this.#socket.sendError(error, { id })
    }
  }

  #cancel (id: string): void {
    const controller = this.#running.get(id)
    if (!controller) {
      throw new RequestError('invalid_request', `no request with id ${JSON.stringify(id)} is running`, { param: 'id' })
    }
    controller.abort(requestCancelled())
  }

  #create (id: string, body: unknown): void {
    if (this.#running.has(id)) {
      throw new RequestError('invalid_request', `a request with id ${JSON.stringify(id)} is running already`,
        { param: 'id' })
    }
    const { controller, ended } =
      this.#socket.run({ id }, (requester, signal) => this.#run(id, body, requester, signal))
    this.#running.set(id, controller)
    ended.finally(() => { this.#running.delete(id) }).catch(console.error)
  }

  async #run (id: string, body: unknown, requester: Requester, signal: AbortSignal): Promise<void> {
    const { value, ignored } = chatCompletionBody.read(body)
    const request = parseChatCompletion(value, this.#services.catalog)
    const formatter = new ChatFormatter(request)
    for await (const event of chatEvents(this.#services, request, formatter, requester, signal)) {
      if (event.type === 'start') {
        await this.#socket.send({
          type: 'created', id, seed: event.start.seed, strategy: event.start.strategy, ignored: shownNames(ignored)
        })
      }
      for (const chunk of formatter.chunks(event)) await this.#socket.send({ type: 'chunk', id, chunk })
      const own = ownEvent(event)
      if (own) await this.#socket.send({ id, ...own })
    }
    await this.#socket.send({ type: 'completed', id, completion: formatter.completion() })
  }
}

/** Events that OpenAI's chunks have no place for. */
function ownEvent (event: GenerationEvent): object | null {
  if (event.type === 'candidate') {
    return {
      type: event.candidate.prunedAt === null ? 'candidate' : 'pruned', candidate: candidateObject(event.candidate)
    }
  }
  return event.type === 'selection' ? { type: 'selection', candidate_indices: event.candidateIndices } : null
}
