/**
 * Questions to the inference thread over HTTP: counted for their caller, with the caller's own part of the prefix
 * cache, ended when the caller leaves.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RequestError } from '../../errors.js'
import type { Calls, Scored, ScoreRequest } from '../../serving/calls.js'
import { disconnectSignal } from './disconnect.js'
import type { Services } from '../services.js'

/** Questions that rewards answer. */
type RewardCall = 'score' | 'adapt' | 'suggest'

/** @throws RequestError */
export async function callFor<N extends RewardCall> (
  services: Services, name: N, asked: Calls[N]['request'], { caller }: Pick<FastifyRequest, 'caller'>,
  reply: FastifyReply
): Promise<Calls[N]['answer']> {
  const release = services.begin(caller, reply)
  const signal = disconnectSignal(reply)
  try {
    return await services.inference.call(name, asked,
      { signal, onUsed: ({ rewardSeconds }) => { services.metrics.of(asked.model).scored(rewardSeconds) } })
  } catch (error) {
    throw signal.aborted ? new RequestError('request_cancelled', 'the caller left') : error
  } finally {
    release()
  }
}

/** @throws RequestError */
export async function scoreFor (
  services: Services, asked: ScoreRequest, request: FastifyRequest, reply: FastifyReply
): Promise<Scored> {
  return await callFor(services, 'score', { ...asked, cacheSalt: request.caller.saltOf(asked.cacheSalt) }, request,
    reply)
}
