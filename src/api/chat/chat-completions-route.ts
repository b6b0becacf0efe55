/** `POST /v1/chat/completions`, whole or as a stream. */
import type { FastifyInstance } from 'fastify'
import { answer } from '../transport/answer.js'
import { documented } from '../plugins/openapi.js'
import { ChatFormatter } from './chat-formatter.js'
import { chatCompletionBody, parseChatCompletion, type ChatCompletionBody } from './chat-completion-schema.js'
import { chatCompletionObject } from './chat-types.js'
import type { Services } from '../services.js'
import { chatEvents } from './stored-completions.js'

export function chatCompletions (app: FastifyInstance, services: Services): void {
  app.post<{ Body: ChatCompletionBody }>('/v1/chat/completions', documented('Answers a chat',
    { body: chatCompletionBody, response: chatCompletionObject, streams: true }), async (request, reply) => {
    services.refuseIfDraining()
    const parsed = parseChatCompletion(request.body, services.catalog)
    const formatter = new ChatFormatter(parsed)
    return await answer(request, reply, {
      ...parsed, services, formatter, events: signal => chatEvents(services, parsed, formatter, request.caller, signal)
    })
  })
}
