/**
 * How much of one packet is begun: Node reads all that came in it at once, so that thousands of requests, or of chunks
 * of a body, would hold up everybody. A connection's requests begin one in each turn of the event loop. What comes
 * behind one too many is not begun, as RFC 9112 §9.3.2 lets a server close a connection before it has answered
 * everything.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { RequestError } from '../../errors.js'
import { Turns } from './turns.js'

/** How many requests of one connection may wait for their answers. Clients that pipeline send about ten. */
export const maxPipelined = 32

/** Chunks that a body may come in: each costs as much as kilobytes do, however small it is. */
export const maxChunks = 4096

/** The code of the error that Node makes of a connection of which no more is read. */
export const stoppedReading = 'HPE_PAUSED'

/**
 * Reads no more of a connection, not even the rest of the packet at hand. Node's parser says so to `clientError`. That
 * it can be paused is not documented: where it cannot, the rest of the packet is read.
 */
function stopReading (socket: Socket): void {
  socket.pause()
  const { parser } = socket as Socket & { readonly parser?: { pause?(): void } | null }
  parser?.pause?.()
}

/** Reads a body in chunks up to one too many, which the body's reader refuses. */
function boundChunks (body: IncomingMessage): void {
  let chunks = 0
  const push = body.push.bind(body)
  // Node calls it for each chunk as it parses it, before any listener could be told.
  body.push = (chunk, encoding) => {
    if (chunk !== null && ++chunks > maxChunks) stopReading(body.socket)
    return push(chunk, encoding)
  }
}

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
    const { socket, headers } = request
    const pipeline = pipelines.get(socket) ?? begun(socket)
    if (pipeline.isRefused) {
      // Of a request that was read Node makes no error with a stack when the connection is closed.
      request.resume()
      return
    }
    if (!pipeline.isFull) {
      if (headers['transfer-encoding'] !== undefined) boundChunks(request)
      pipeline.add(response, () => { handle(request, response) })
      return
    }
    pipeline.isRefused = true
    stopReading(socket)
    refuse(response, new RequestError('rate_limit_exceeded',
      `A connection may have ${maxPipelined} requests that are not answered; this is one more`, { retryAfterMs: 1000 }))
  }
}
