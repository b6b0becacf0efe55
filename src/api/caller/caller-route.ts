/** `GET /v1/caller`: who a key is, for programs that show what it may do before it is refused. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { orNull } from '../alignment/alignment-types.js'
import { documented } from '../plugins/openapi.js'

const callerObject = Type.Object({
  object: Type.Literal('caller'),
  name: Type.String({ description: 'of the key; anyone where the server has none' }),
  role: Type.Enum(['inference', 'admin']),
  limits: Type.Object({
    max_requests: orNull(Type.Integer(), 'requests at a time'),
    requests_per_minute: orNull(Type.Integer()),
    tokens_per_minute: orNull(Type.Integer(), 'generated ones, discarded candidates too')
  }, { description: 'null is no limit' })
})

export function caller (app: FastifyInstance): void {
  app.get('/v1/caller', documented('Says who calls: the key’s name, role and limits', { response: callerObject }),
    ({ caller: { name, role, limits } }): Static<typeof callerObject> => ({
      object: 'caller',
      name,
      role,
      limits: {
        max_requests: limits.requests,
        requests_per_minute: limits.requestsPerMinute,
        tokens_per_minute: limits.tokensPerMinute
      }
    }))
}
