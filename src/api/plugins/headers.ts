/** Headers of every answer, and what a request's id may be; which pages of other origins may read answers. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** Ids that clients give are taken if they are short and plain. */
const plainId = /^[\w.-]{1,128}$/

const rateHeaders = ['limit', 'remaining', 'reset'].flatMap(figure =>
  ['requests', 'tokens'].map(what => `x-ratelimit-${figure}-${what}`))
const ownHeaders = ['x-request-id', 'openai-processing-ms', 'x-fairlead-ignored', 'x-fairlead-run', 'retry-after',
  'retry-after-ms', ...rateHeaders]

/** The client's own id of a request, or a new one. */
export function requestId ({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && plainId.test(given) ? given : `req_${randomUUID()}`
}

/** The headers that are known before a request is answered. */
export const firstHeaders = (id: string): Record<string, string> =>
  ({ 'x-request-id': id, 'x-content-type-options': 'nosniff' })

/** To be called before keys are asked for: a browser's preflight request has none. */
export async function installHeaders (app: FastifyInstance, corsOrigins: readonly string[]): Promise<void> {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(firstHeaders(request.id))
  })
  app.addHook('onSend', async (_, reply) => {
    reply.header('openai-processing-ms', Math.round(reply.elapsedTime))
  })
  if (corsOrigins.length === 0) return
  await app.register(cors, {
    origin: corsOrigins.includes('*') ? '*' : [...corsOrigins],
    methods: ['GET', 'HEAD', 'POST', 'DELETE'],
    exposedHeaders: ownHeaders,
    maxAge: 600
  })
}
