/**
 * When the caller leaves. Fastify's `request.signal` aborts as soon as a POST body is read; the response's own close
 * does not.
 */
import type { FastifyReply } from 'fastify'
import { RequestError } from '../../errors.js'

/** Aborted when the connection closes before the response was written. */
export function disconnectSignal (reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new RequestError('request_cancelled', 'the caller left'))
  })
  return controller.signal
}
