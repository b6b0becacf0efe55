/**
 * Questions to the inference thread over HTTP: counted for their caller, with the caller's own part of the prefix
 * cache, ended when the client disconnects.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Calls } from '../../serving/calls.js'
import type { Services } from '../services.js'
import { disconnectSignal } from './disconnect.js'

/** Questions that callers ask over HTTP. */
type CountedCall = 'score' | 'adapt' | 'suggest' | 'embed' | 'tokenize' | 'detokenize' | 'tokenizerInfo'

/** Those that take none of the model's time, so that who has no more tokens may ask them. */
const free: readonly CountedCall[] = ['tokenize', 'detokenize', 'tokenizerInfo']

/** @throws RequestError */
export async function callInference<N extends CountedCall> (
  services: Services, name: N, asked: Calls[N]['request'], { caller }: Pick<FastifyRequest, 'caller'>,
  reply: FastifyReply
): Promise<Calls[N]['answer']> {
  const signal = disconnectSignal(reply)
  const release = await services.begin(caller, !free.includes(name))
  const salted = 'cacheSalt' in asked ? { ...asked, cacheSalt: caller.saltOf(asked.cacheSalt) } : asked
  const own = { ...salted, caller: caller.turn }
  try {
    return await services.inference.call(name, own, {
      signal, onUsed: ({ rewardSeconds }) => { services.metrics.scored(asked.model, rewardSeconds) }
    })
  } finally {
    release()
  }
}
