/** `/v1/runs`: the journals that the server keeps (`kept-runs`), to read and to follow. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { Checker } from '../../checker.js'
import { listOf, orNull } from '../alignment/alignment-types.js'
import type { Caller } from '../plugins/keys.js'
import { documented } from '../plugins/openapi.js'
import { deleted, deletedObject, listObject } from '../schemas/answer-schemas.js'
import type { Services } from '../services.js'
import { sendStream } from '../transport/answer.js'
import { disconnectSignal } from '../transport/disconnect.js'
import type { KeptRun } from './kept-runs.js'

const runObject = Type.Object({
  id: Type.String(),
  object: Type.Literal('run'),
  created: Type.Integer({ description: 'seconds since the epoch' }),
  state: Type.Enum(['waiting', 'running', 'done', 'failed']),
  caller: Type.String({ description: 'name of the key that asked for it' }),
  model: Type.String(),
  strategy: orNull(Type.String(), 'sample for plain sampling; null while it waits'),
  rewards: listOf(Type.String()),
  tokens: Type.Integer({ description: 'drawn so far' }),
  milliseconds: Type.Integer({ description: 'from its acceptance to its last entry' }),
  bytes: Type.Integer({ description: 'of memory that it takes' })
})
const runList = listObject(runObject)

const runQuery = new Checker(Type.Object({
  follow: Type.Boolean({ default: false, description: 'send entries as server-sent events as they come' }),
  after: Type.Integer({ minimum: 0, maximum: 1 << 30, default: 0, description: 'entries that the reader has' })
}), { coerce: true })
type RunQuery = Static<typeof runQuery.schema>

const params = Type.Object({ id: Type.String() })
interface WithId { Params: { id: string } }

function objectOf ({ head, state, caller, strategy, rewards, tokens, t, bytes }: KeptRun): Static<typeof runObject> {
  const { id, created, model } = head
  return { id, object: 'run', created, state, caller, model, strategy, rewards, tokens, milliseconds: t, bytes }
}

/** Whose runs a caller may see; null is everybody's. */
const seenBy = ({ role, name }: Caller): string | null => role === 'admin' ? null : name

async function * parsed (lines: AsyncIterable<string>): AsyncGenerator<object, void, undefined> {
  for await (const line of lines) yield JSON.parse(line) as object
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Tells the client under which id a run is kept. */
    announceRun: (id: string) => void
  }
}

export function runs (app: FastifyInstance, services: Services): void {
  const { keptRuns } = services
  app.decorateRequest('announceRun', null as unknown as FastifyRequest['announceRun'])
  app.addHook('onRequest', async (request, reply) => {
    const ids: string[] = []
    request.announceRun = id => {
      ids.push(id)
      if (!reply.raw.headersSent) reply.header('x-fairlead-run', ids.join(', '))
    }
  })
  const find = ({ params: { id }, caller }: FastifyRequest<WithId>): KeptRun => keptRuns.find(id, seenBy(caller))
  app.get('/v1/runs', documented('Lists the runs that are kept, newest first', { response: runList }),
    ({ caller }): Static<typeof runList> => ({ object: 'list', data: keptRuns.list(seenBy(caller)).map(objectOf) }))
  app.get<WithId & { Querystring: RunQuery }>('/v1/runs/:id', documented('The journal of a run, a JSON object a line',
    { params, query: runQuery, streams: true, contentType: 'application/x-ndjson' }), async (request, reply) => {
    const run = find(request as FastifyRequest<WithId>)
    const { follow, after } = request.query
    if (!follow) return reply.type('application/x-ndjson; charset=utf-8').send(run.lines.slice(after).join(''))
    const signal = disconnectSignal(reply)
    await sendStream(reply, parsed(run.read(after, signal)),
      { services, signal, formatter: { failure: error => [error.toBody()], closing: ['[DONE]'] } })
    return reply
  })
  app.delete<WithId>('/v1/runs/:id', documented('Deletes a run', { params, response: deletedObject }), request => {
    const run = find(request)
    keptRuns.delete(run)
    return deleted(run.head.id, 'run')
  })
}
