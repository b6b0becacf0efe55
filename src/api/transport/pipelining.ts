/**
 * How many requests of one connection may wait for their answers: Node reads all that came in one packet at once, so a
 * packet of thousands would hold up everybody. They begin one in each turn of the event loop. What comes behind one too
 * many is not begun, as RFC 9112 §9.3.2 lets a server close a connection before it has answered everything.
 */
import type { RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { RequestError } from '../../errors.js'
import { stopReading } from './stop-reading.js'
import { Turns } from './turns.js'

/** Clients that pipeline send about ten. */
export const maxPipelined = 32

/** The requests of one connection that are not answered. */
class Pipeline {
  readonly #answers = new Set<ServerResponse>()
  readonly #turns = new Turns()
  isRefused = false

  constructor (socket: Socket) {
    // Of a lost connection Node closes the answer that is being sent alone, not those that wait for it.
    socket.once('close', () => {
      for (const answer of this.#answers) if (!answer.closed) answer.destroy().emit('close')
    })
  }

  get isFull (): boolean { return this.#answers.size >= maxPipelined }

  add (response: ServerResponse, begin: () => void): void {
    const isAlone = this.#answers.size === 0
    this.#answers.add(response)
    response.once('close', () => { this.#answers.delete(response) })
    if (isAlone) return begin()
    this.#turns.take(() => { if (!response.destroyed) begin() })
  }
}

/**
 * Bounds what a connection may have begun.
 * @param handle answers requests
 * @param refuse answers one too many, and closes its connection
 */
export function boundPipelines (
  handle: RequestListener, refuse: (response: ServerResponse, error: RequestError) => void
): RequestListener {
  const pipelines = new WeakMap<Socket, Pipeline>()
  const begun = (socket: Socket): Pipeline => {
    const pipeline = new Pipeline(socket)
    pipelines.set(socket, pipeline)
    return pipeline
  }
  return (request, response) => {
    const { socket } = request
    const pipeline = pipelines.get(socket) ?? begun(socket)
    if (pipeline.isRefused) {
      // Of a request that was read Node makes no error with a stack when the connection is closed.
      request.resume()
      return
    }
    if (!pipeline.isFull) {
      return pipeline.add(response, () => { handle(request, response) })
    }
    pipeline.isRefused = true
    stopReading(socket)
    refuse(response, new RequestError('rate_limit_exceeded',
      `A connection may have ${maxPipelined} requests that are not answered; this is one more`, { retryAfterMs: 1000 }))
  }
}
