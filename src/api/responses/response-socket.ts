/**
 * One WebSocket of `/v1/responses`, in OpenAI's protocol: `response.create` in, typed events out. Requests with the
 * same `stream_id`, or without one, are a lane and run one after the other; lanes run side by side. Each lane remembers
 * its last response, stored or not, so that the next can go on from it.
 */
import type { WebSocket } from '@fastify/websocket'
import { RequestError } from '../../errors.js'
import { refuse } from '../../validation.js'
import { toRequestError } from '../plugins/error-handler.js'
import { JsonSocket, type Message } from '../transport/json-socket.js'
import type { Caller } from '../plugins/keys.js'
import { keptFormatter, readResponseCreate } from './continue-response.js'
import type { KeptResponse } from './stored-response.js'
import { readingOnly, responseCreateBody } from './response-create-schema.js'
import type { Services } from '../services.js'

/** Named lanes of a socket, at most; OpenAI's figure. */
const mostLanes = 32

/** A line of requests, one at a time. */
interface Lane {
  /** Settles when all requests so far have ended. */
  ended: Promise<void>
  last: KeptResponse | null
}

/** One socket that speaks it. */
export class ResponseConnection {
  readonly #socket: JsonSocket
  readonly #services: Services
  readonly #caller: Caller
  /** By `stream_id`; null is the lane without one. */
  readonly #lanes = new Map<string | null, Lane>()

  constructor (socket: WebSocket, services: Services, caller: Caller) {
    this.#services = services
    this.#caller = caller
    this.#socket = new JsonSocket(socket, services, message => { this.#receive(message) })
  }

  #receive (message: Message): void {
    const { type, stream_id: name = null, ...body } = message
    if (name !== null && (typeof name !== 'string' || name === '' || name.length > 128)) {
      throw refuse('stream_id', 'must be a text of 1 to 128', name)
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
    if (name !== null && [...this.#lanes.keys()].filter(one => one !== null).length >= mostLanes) {
      throw new RequestError('rate_limit_exceeded', `a socket has at most ${mostLanes} values of stream_id`,
        { param: 'stream_id' })
    }
    const lane = { ended: Promise.resolve(), last: null }
    this.#lanes.set(name, lane)
    return lane
  }

  /** Queues a request behind those of its lane. @param fields what its events carry of the lane */
  #create (lane: Lane, body: Message, fields: object): void {
    this.#socket.run({
      caller: this.#caller,
      work: signal => {
        const ended = lane.ended.then(() => this.#run(lane, body, fields, signal))
        lane.ended = ended.catch(() => {})
        return ended
      },
      onError: error => { this.#socket.sendError(error, fields) }
    })
  }

  #find (id: string): KeptResponse | null {
    for (const { last } of this.#lanes.values()) if (last?.response.id === id) return last
    return this.#services.responses.find(this.#caller, id)
  }

  async #run (
    lane: Lane, { generate = true, background, ...body }: Message, fields: object, signal: AbortSignal
  ): Promise<void> {
    signal.throwIfAborted()
    if (background) throw refuse('background', 'cannot be had over a WebSocket', background)
    if (typeof generate !== 'boolean') throw refuse('generate', 'must be true or false', generate)
    const { value, ignored } = responseCreateBody.read({ ...body, stream: true })
    const asked = readResponseCreate(value, this.#services, id => this.#find(id))
    const request = generate ? asked : readingOnly(asked)
    const formatter = keptFormatter(request, this.#services, this.#caller, kept => { lane.last = kept })
    const send = (event: object): Promise<void> => this.#socket.send({ ...event, ...fields })
    let begun = false
    try {
      for await (const event of this.#services.generate(request.generate, this.#caller, signal)) {
        for (const chunk of formatter.chunks(event)) {
          await send(begun || ignored.length === 0 ? chunk : { ...chunk, ignored })
        }
        begun = true
      }
    } catch (error) {
      if (!begun) throw error
      const told = toRequestError(error)
      if (told.code === 'internal_error' && !signal.aborted) console.error(error)
      for (const chunk of formatter.failure(told)) await send(chunk)
    }
  }
}
