/**
 * `POST /v1/responses`, whole, as typed events or in the background, and its WebSocket; what is kept of responses, and
 * how they are cancelled and deleted.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { RequestError } from '../../errors.js'
import { refuse } from '../../validation.js'
import { answer, sendStream, type Sending } from '../transport/answer.js'
import { disconnectSignal } from '../transport/disconnect.js'
import { webSocketRoute } from '../transport/web-sockets.js'
import { documented } from '../plugins/openapi.js'
import { keptFormatter, notKept, readResponseCreate, startInBackground } from './continue-response.js'
import { ResponseConnection } from './response-socket.js'
import { keptEvent, type KeptResponse, type KeptText } from './stored-response.js'
import { responseCreateBody, type ResponseBody } from './response-create-schema.js'
import { itemsQuery, responseQuery, type ItemsQuery, type ResponseQuery } from './response-query-schema.js'
import { deleted, deletedObject } from '../schemas/answer-schemas.js'
import { itemList, responseObject, type ResponseEvent } from './response-types.js'
import type { Services } from '../services.js'

const params = Type.Object({ id: Type.String() })
interface Params { id: string }
type WithId = FastifyRequest<{ Params: Params }>

async function * listOf (events: readonly KeptText[]): AsyncGenerator<ResponseEvent, void, undefined> {
  for (const event of events) yield keptEvent(event)
}

/** What is known of the response that a path names. @throws RequestError not_found */
async function find ({ responses }: Services, { caller, params: { id } }: WithId): Promise<KeptResponse> {
  const kept = await responses.find(caller, id)
  if (!kept) {
    throw new RequestError('not_found', `Response with id ${JSON.stringify(id)} not found: ${notKept}`,
      { param: 'id' })
  }
  return kept
}

/** Kept events are sent as they are: there is nothing to add to one that has failed. */
function sending (reply: FastifyReply, services: Services): Sending {
  return { services, signal: disconnectSignal(reply), formatter: { failure: () => [], closing: [] } }
}

/** A page of what a response read. */
function page (input: KeptResponse['input'], query: ItemsQuery): object {
  const items = query.order === 'asc' ? [...input] : input.toReversed()
  const from = query.after === undefined ? 0 : items.findIndex(({ id }) => id === query.after) + 1
  if (query.after !== undefined && from === 0) throw refuse('after', 'must be the id of an input item', query.after)
  const data = items.slice(from, from + query.limit)
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: from + data.length < items.length
  }
}

function create (app: FastifyInstance, services: Services): void {
  const { responses } = services
  app.post<{ Body: ResponseBody }>('/v1/responses', documented('Answers in OpenAI’s newer shape',
    { body: responseCreateBody, response: responseObject, streams: true }), async (request, reply) => {
    services.refuseIfDraining()
    const { caller } = request
    const parsed = await readResponseCreate(request.body, services, caller, id => responses.find(caller, id))
    if (!parsed.body.background) {
      return await answer(request, reply, {
        ...parsed,
        services,
        formatter: keptFormatter(parsed, services, caller),
        events: signal => services.generate(parsed.generate, request, signal)
      })
    }
    const background = await startInBackground(parsed, services, request)
    if (!parsed.stream) return background.kept.response
    const how = sending(reply, services)
    await sendStream(reply, background.read(-1, how.signal), how)
    return reply
  })
}

function read (app: FastifyInstance, services: Services): void {
  app.get<{ Params: Params, Querystring: ResponseQuery }>('/v1/responses/:id', documented(
    'A stored response', { response: responseObject, params, query: responseQuery, streams: true }
  ), async (request, reply) => {
    const kept = await find(services, request)
    const { stream, starting_after: after } = request.query
    if (!stream) return kept.response
    if (kept.runsElsewhere) {
      throw refuse('stream', 'must be false until the response has ended: another replica runs it', true)
    }
    if (!kept.events) {
      throw refuse('stream', 'needs a response that was asked for with background: true and stream: true', true)
    }
    const how = sending(reply, services)
    const running = services.responses.running(request.caller, request.params.id)
    await sendStream(reply, running ? running.read(after, how.signal) : listOf(kept.events.slice(after + 1)), how)
    return reply
  })
  app.get<{ Params: Params, Querystring: ItemsQuery }>('/v1/responses/:id/input_items',
    documented('What a stored response read', { response: itemList, params, query: itemsQuery }),
    async request => page((await find(services, request)).input, request.query))
}

function end (app: FastifyInstance, services: Services): void {
  app.post('/v1/responses/:id/cancel', documented('Ends a response that runs in the background',
    { response: responseObject, params }), async (request: WithId) => {
    if (!(await find(services, request)).isBackground) {
      throw new RequestError('invalid_request',
        'Only a response that was created with background: true can be cancelled', { param: 'id' })
    }
    await services.responses.cancel(request.caller, request.params.id)
    return (await find(services, request)).response
  })
  app.delete('/v1/responses/:id', documented('Deletes a stored response',
    { response: deletedObject, params }), async (request: WithId) => {
    await find(services, request)
    await services.responses.delete(request.caller, request.params.id)
    return deleted(request.params.id, 'response')
  })
}

export function responses (app: FastifyInstance, services: Services): void {
  create(app, services)
  read(app, services)
  end(app, services)
  webSocketRoute(app, services, {
    url: '/v1/responses',
    summary: 'Opens a WebSocket for responses, in OpenAI’s protocol',
    open: (socket, request) => new ResponseConnection(socket, request, services)
  })
}
