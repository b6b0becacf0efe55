/**
 * When the client disconnects. Fastify's `request.signal` aborts as soon as a POST body is read; the response's own
 * close does not.
 */
import type { FastifyReply } from 'fastify'
import { requestCancelled } from '../../errors.js'

/** Aborted when the connection closes before the response was written. */
export function disconnectSignal (reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  if (reply.raw.destroyed) controller.abort(requestCancelled())
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(requestCancelled())
  })
  return controller.signal
}
