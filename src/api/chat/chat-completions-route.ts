/** `POST /v1/chat/completions`, whole or as a stream; `GET` and `DELETE` of completions that were stored. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { answer } from '../transport/answer.js'
import { documented } from '../plugins/openapi.js'
import { ChatFormatter } from './chat-formatter.js'
import { chatCompletionBody, parseChatCompletion, type ChatCompletionBody } from './chat-completion-schema.js'
import { chatCompletionObject } from './chat-types.js'
import { deleted, deletedObject } from '../schemas/answer-schemas.js'
import type { Services } from '../services.js'
import { chatEvents, storedFor } from './stored-completions.js'

interface WithId { Params: { id: string } }
const params = Type.Object({ id: Type.String() })

function stored (app: FastifyInstance, services: Services): void {
  app.get<WithId>('/v1/chat/completions/:id',
    documented('A stored chat completion', { params, response: chatCompletionObject }),
    async ({ caller, params: { id } }) => (await storedFor(services, caller, id)).completion)
  app.delete<WithId>('/v1/chat/completions/:id', documented('Deletes a stored chat completion and all feedback on it',
    { params, response: deletedObject }), async ({ caller, params: { id } }) => {
    await storedFor(services, caller, id)
    await services.store.chats.deleteCompletion(id)
    return deleted(id, 'chat.completion.deleted')
  })
}

export function chatCompletions (app: FastifyInstance, services: Services): void {
  stored(app, services)
  app.post<{ Body: ChatCompletionBody }>('/v1/chat/completions', documented('Answers a chat',
    { body: chatCompletionBody, response: chatCompletionObject, streams: true }), async (request, reply) => {
    services.refuseIfDraining()
    const parsed = parseChatCompletion(request.body, services.catalog)
    const formatter = new ChatFormatter(parsed)
    return await answer(request, reply, {
      ...parsed, services, formatter, events: signal => chatEvents(services, parsed, formatter, request, signal)
    })
  })
}
