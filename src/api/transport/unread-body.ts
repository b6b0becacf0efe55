/**
 * What a client goes on sending of a body whose request is answered already. Closing at once would make of the answer a
 * broken pipe for clients that read only after they have written, as Python's and Node's do; so it is read and dropped,
 * within bounds, as nginx's lingering close does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { hasTooManyChunks } from './chunks.js'

/** Bytes that are dropped of one body before its connection is closed. */
const most = 64 << 20

/** How long nothing may come before it is closed, ms. */
const idleMs = 2000

/** Reads what is unread of a body once its answer is written. If nobody asked to close the connection, it goes on. */
export function dropUnread (request: IncomingMessage, response: ServerResponse): void {
  response.once('prefinish', () => {
    if (request.complete || request.destroyed || hasTooManyChunks(request)) return
    const { socket } = request
    const idle = setTimeout(() => { socket.destroy() }, idleMs).unref()
    // Node closes both ways once such an answer is written: here only its own, until the body's end.
    if (!response.shouldKeepAlive) socket.destroySoon = () => { socket.end() }
    let left = most
    request.unpipe()
    request.on('data', ({ length }: Buffer) => {
      left -= length
      if (left < 0) socket.destroy()
      else idle.refresh()
    })
    request.once('close', () => { clearTimeout(idle) }).once('end', () => {
      clearTimeout(idle)
      if (response.shouldKeepAlive) return
      Reflect.deleteProperty(socket, 'destroySoon')
      socket.destroySoon()
    }).resume()
  })
}
