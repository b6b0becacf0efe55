/** How many chunks a body may come in, with transfer-encoding chunked. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { stopReading } from './stop-reading.js'

/** Each costs as much as kilobytes do, however small it is. */
export const maxChunks = 4096

const overfull = new WeakSet<IncomingMessage>()

/** Whether a body came in more chunks than it may: its reader refuses it. */
export const hasTooManyChunks = (body: IncomingMessage): boolean => overfull.has(body)

/**
 * Counts a body's chunks as they are parsed, before any listener could be told. After one too many nothing is read from
 * the connection any more, so that it is closed behind the answer, whether anybody reads the body or not.
 */
export function countChunks (body: IncomingMessage, response: ServerResponse): void {
  if (body.headers['transfer-encoding'] === undefined) return
  let chunks = 0
  const push = body.push.bind(body)
  body.push = (chunk, encoding) => {
    if (chunk !== null && ++chunks > maxChunks && !overfull.has(body)) {
      overfull.add(body)
      stopReading(body.socket)
      if (response.writableFinished) body.socket.destroySoon()
      else if (response.headersSent) response.once('finish', () => { body.socket.destroySoon() })
      else response.setHeader('connection', 'close')
    }
    return push(chunk, encoding)
  }
}
