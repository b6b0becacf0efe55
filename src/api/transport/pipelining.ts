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
  /** Answers that are not sent yet, by connection. */
  const pending = new WeakMap<Socket, Set<ServerResponse>>()
  const refused = new WeakSet<Socket>()
  const begin = (socket: Socket): Set<ServerResponse> => {
    const answers = new Set<ServerResponse>()
    pending.set(socket, answers)
    // Of a lost connection Node closes the answer that is being sent alone, not those that wait for it.
    socket.once('close', () => {
      for (const answer of answers) if (!answer.closed) answer.destroy().emit('close')
    })
    return answers
  }
  return (request, response) => {
    const { socket } = request
    if (refused.has(socket)) {
      // Of a request that was read Node makes no error with a stack when the connection is closed.
      request.resume()
      return
    }
    const answers = pending.get(socket) ?? begin(socket)
    if (answers.size < maxPipelined) {
      answers.add(response)
      response.once('close', () => { answers.delete(response) })
      return handle(request, response)
    }
    refused.add(socket)
    // No further packet is read.
    socket.pause()
    refuse(response, new RequestError('rate_limit_exceeded',
      `A connection may have ${maxPipelined} requests that are not answered; this is one more`, { retryAfterMs: 1000 }))
  }
}
