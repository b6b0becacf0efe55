/**
 * How many requests of one connection may wait for their answers: Node begins all that came in one packet at once, so a
 * packet of thousands would hold up everybody. What comes behind one too many is not begun, as RFC 9112 §9.3.2 lets a
 * server close a connection before it has answered everything.
 */
import type { RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { RequestError } from '../../errors.js'

/** Clients that pipeline send about ten. */
export const maxPipelined = 32

/**
 * Bounds what a connection may have begun.
 * @param handle answers requests
 * @param refuse answers one too many, and closes its connection
 */
export function boundPipelines (
  handle: RequestListener, refuse: (response: ServerResponse, error: RequestError) => void
): RequestListener {
  /** Requests that are not answered; Infinity where one too many was. */
  const pending = new WeakMap<Socket, number>()
  return (request, response) => {
    const { socket } = request
    const count = pending.get(socket) ?? 0
    if (count === Infinity) {
      // Of a request that was read Node makes no error with a stack when the connection is closed.
      request.resume()
      return
    }
    pending.set(socket, count < maxPipelined ? count + 1 : Infinity)
    if (count < maxPipelined) {
      response.once('close', () => { pending.set(socket, pending.get(socket)! - 1) })
      return handle(request, response)
    }
    // No further packet is read.
    socket.pause()
    refuse(response, new RequestError('rate_limit_exceeded',
      `A connection may have ${maxPipelined} requests that are not answered; this is one more`, { retryAfterMs: 1000 }))
  }
}
