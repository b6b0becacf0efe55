/**
 * One WebSocket of `/v1/responses`, in OpenAI's protocol: `response.create` in, typed events out. Requests with the
 * same `stream_id`, or without one, are a lane and run one after the other; lanes run side by side. Each lane remembers
 * its last response, stored or not, so that the next can go on from it.
 */
import type { WebSocket } from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { RequestError } from '../../errors.js'
import { refuse } from '../../validation.js'
import { reportedError } from '../plugins/error-handler.js'
import { shownNames } from '../plugins/validation.js'
import { JsonSocket, type Message } from '../transport/json-socket.js'
import { keptFormatter, readResponseCreate } from './continue-response.js'
import type { ResponseFormatter } from './response-formatter.js'
import type { KeptResponse } from './stored-response.js'
import { readingOnly, responseCreateBody } from './response-create-schema.js'
import type { Requester, Services } from '../services.js'

/** Named lanes of a socket, at most; OpenAI's figure. */
const maxLanes = 32

/** A line of requests, one at a time. */
interface Lane {
  /** Settles when all requests so far have ended. */
  ended: Promise<void>
  /** Id of its last response. */
  last: string | null
}

/** One socket that speaks it. */
export class ResponseConnection {
  readonly #socket: JsonSocket
  readonly #services: Services
  readonly #request: FastifyRequest
  /** By `stream_id`; null is the lane without one. */
  readonly #lanes = new Map<string | null, Lane>()
  #isOpen = true

  constructor (socket: WebSocket, request: FastifyRequest, services: Services) {
    this.#services = services
    this.#request = request
    this.#socket = new JsonSocket(socket, request, services, message => { this.#receive(message) })
    socket.once('close', () => {
      this.#isOpen = false
      for (const lane of this.#lanes.values()) this.#forgetLast(lane)
    })
  }

  #receive (message: Message): void {
    const { type, stream_id: name = null, ...body } = message
    if (name !== null && (typeof name !== 'string' || name === '' || name.length > 128)) {
      throw refuse('stream_id', 'must be a string of 1 to 128 characters', name)
    }
    const fields = name === null ? {} : { stream_id: name }
    try {
      if (type !== 'response.create') throw refuse('type', 'must be response.create', type)
      this.#create(this.#lane(name), body, fields)
    } catch (error) {
      this.#socket.sendError(error, fields)
    }
  }

  #lane (name: string | null): Lane {
    const known = this.#lanes.get(name)
    if (known) return known
    if (name !== null && [...this.#lanes.keys()].filter(one => one !== null).length >= maxLanes) {
      throw new RequestError('rate_limit_exceeded', `a socket has at most ${maxLanes} values of stream_id`,
        { param: 'stream_id' })
    }
    const lane = { ended: Promise.resolve(), last: null }
    this.#lanes.set(name, lane)
    return lane
  }

  /** Queues a request behind those of its lane. @param fields what its events carry of the lane */
  #create (lane: Lane, body: Message, fields: object): void {
    this.#socket.run(fields, (requester, signal) => {
      const ended = lane.ended.then(() => this.#run(lane, body, fields, requester, signal))
      lane.ended = ended.catch(() => {})
      return ended
    })
  }

  #find (id: string): Promise<KeptResponse | null> {
    const { responses } = this.#services
    const { caller } = this.#request
    return [...this.#lanes.values()].some(({ last }) => last === id)
      ? responses.findLast(caller, id)
      : responses.find(caller, id)
  }

  /** Goes on from a response, once it has ended. */
  #remember (lane: Lane, { id, hasEnded }: ResponseFormatter): void {
    if (!hasEnded || lane.last === id) return
    this.#forgetLast(lane)
    lane.last = id
    if (!this.#isOpen) this.#forgetLast(lane)
  }

  #forgetLast ({ last }: Lane): void {
    if (last !== null) this.#services.responses.forget(this.#request.caller, last)
  }

  async #run (
    lane: Lane, { generate, background, ...body }: Message, fields: object, requester: Requester,
    signal: AbortSignal
  ): Promise<void> {
    signal.throwIfAborted()
    if (background) throw refuse('background', 'cannot be had over a WebSocket', background)
    const isAnswered = generate ?? true
    if (typeof isAnswered !== 'boolean') throw refuse('generate', 'must be true or false', generate)
    const { value, ignored } = responseCreateBody.read({ ...body, stream: true })
    const { caller } = requester
    const asked = await readResponseCreate(value, this.#services, caller, id => this.#find(id))
    const request = isAnswered ? asked : readingOnly(asked)
    const formatter = keptFormatter(request, this.#services, caller, true)
    const send = (event: object): Promise<void> => this.#socket.send({ ...event, ...fields })
    let begun = false
    try {
      for await (const event of this.#services.generate(request.generate, requester, signal)) {
        const chunks = await formatter.chunks(event)
        this.#remember(lane, formatter)
        for (const chunk of chunks) {
          await send(begun || ignored.length === 0 ? chunk : { ...chunk, ignored: shownNames(ignored) })
        }
        begun = true
      }
    } catch (error) {
      if (!begun) throw error
      const reason: unknown = signal.aborted ? signal.reason : error
      const chunks = await formatter.failure(reportedError(reason, this.#request.log))
      this.#remember(lane, formatter)
      for (const chunk of chunks) await send(chunk)
      if (signal.aborted) throw reason
    }
  }
}
