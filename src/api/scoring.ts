/** A request for scores over HTTP: counted for its caller, with the caller's own part of the prefix cache, ended when the caller leaves. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RequestError } from '../errors.js'
import type { Scored, ScoreRequest } from '../inference/protocol.js'
import { disconnectSignal } from './disconnect.js'
import type { Services } from './services.js'

/** @throws RequestError */
export async function scoreFor (services: Services, asked: ScoreRequest, { caller }: FastifyRequest, reply: FastifyReply): Promise<Scored> {
  const release = services.begin(caller, reply)
  const signal = disconnectSignal(reply)
  try {
    return await services.inference.call('score', { ...asked, cacheSalt: caller.saltOf(asked.cacheSalt) }, { signal })
  } catch (error) {
    throw signal.aborted ? new RequestError('request_cancelled', 'the caller left') : error
  } finally {
    release()
  }
}
