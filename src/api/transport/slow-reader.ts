/** How an answer is written to a client that may not read it: in pieces, and only while the client takes some. */
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'

/** Bytes that are written at once: a reader that takes them within the time limit is not cut off. */
const pieceBytes = 64 << 10

/** The parts that a text or bytes are written in. */
export function * pieces (payload: string | Buffer): Generator<Buffer, void, undefined> {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
  for (let from = 0; from < bytes.length; from += pieceBytes) yield bytes.subarray(from, from + pieceBytes)
}

/**
 * Destroys the connection when its client takes nothing of what has been written, until the answer is closed or
 * `stop` is called. Of an answer that waits for others on its connection, the time begins when it is its turn.
 * @returns stop
 */
export function cutOffSlowReader (response: ServerResponse, timeoutMs: number): () => void {
  let timer: NodeJS.Timeout | undefined
  const start = (): void => { timer = setTimeout(() => { response.destroy() }, timeoutMs) }
  const restart = (): void => {
    clearTimeout(timer)
    start()
  }
  const stop = (): void => {
    clearTimeout(timer)
    response.off('socket', start).off('drain', restart).off('close', stop)
  }
  if (response.socket) start()
  else response.once('socket', start)
  response.on('drain', restart).once('close', stop)
  return stop
}

/** Cuts off clients that do not read a whole answer. To be called before the routes. */
export function installSlowReaders (app: FastifyInstance, timeoutMs: number): void {
  app.addHook('onSend', async ({ method }, reply, payload) => {
    cutOffSlowReader(reply.raw, timeoutMs)
    if (method === 'HEAD' || (typeof payload !== 'string' && !Buffer.isBuffer(payload))) return payload
    if (payload.length <= pieceBytes) return payload
    reply.header('content-length', Buffer.byteLength(payload))
    return Readable.from(pieces(payload), { objectMode: false })
  })
}
