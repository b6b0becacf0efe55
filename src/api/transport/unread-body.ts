/**
 * What a client goes on sending of a body whose request is answered already. Closing at once would make of the answer a
 * broken pipe for clients that read only after they have written, as Python's and Node's do; so it is read and dropped,
 * within bounds, as nginx's lingering close does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Bytes that are dropped of one body before its connection is closed. */
const most = 64 << 20

/** How long nothing may come before it is closed, ms. */
const idleMs = 2000

/** Reads what is unread of a body once its answer is written. The connection can then be used again. */
export function dropUnread (request: IncomingMessage, response: ServerResponse): void {
  response.once('prefinish', () => {
    if (request.complete || request.destroyed) return
    const { socket } = request
    const idle = setTimeout(() => { socket.destroy() }, idleMs).unref()
    let left = most
    request.unpipe()
    request.on('data', ({ length }: Buffer) => {
      left -= length
      if (left < 0) socket.destroy()
      else idle.refresh()
    })
    request.once('end', () => { clearTimeout(idle) }).once('close', () => { clearTimeout(idle) })
    request.resume()
  })
}
