/** Stored chat completions, `GET` and `DELETE /v1/chat/completions/:id`, and what is said of them, `/v1/feedback`. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { documented } from '../plugins/openapi.js'
import {
  checkFeedback, feedbackBody, feedbackObject, feedbackQuery, verdictOf, type FeedbackBody, type FeedbackQuery
} from './feedback-schema.js'
import { chatCompletionObject } from '../chat/chat-types.js'
import { deletedObject, feedbackList, feedbackObject as describedFeedback } from '../schemas/answer-schemas.js'
import type { Services } from '../services.js'
import { storedFor } from '../chat/stored-completions.js'

interface WithId { Params: { id: string } }
const params = Type.Object({ id: Type.String() })

function completions (app: FastifyInstance, services: Services): void {
  app.get<WithId>('/v1/chat/completions/:id',
    documented('A stored chat completion', { params, response: chatCompletionObject }), ({ caller, params: { id } }) =>
      storedFor(services, caller, id).completion)
  app.delete<WithId>('/v1/chat/completions/:id', documented('Deletes a stored chat completion and all feedback on it',
    { params, response: deletedObject }), ({ caller, params: { id } }) => {
    storedFor(services, caller, id)
    services.feedback.deleteCompletion(id)
    return { id, object: 'chat.completion.deleted', deleted: true }
  })
}

export function feedback (app: FastifyInstance, services: Services): void {
  completions(app, services)
  app.post<{ Body: FeedbackBody }>('/v1/feedback', documented('Says something of a stored chat completion',
    { body: feedbackBody, response: describedFeedback, access: 'admin' }), ({ body: said }) => {
    checkFeedback(said)
    const stored = services.feedback.completion(said.completion_id)
    return feedbackObject(services.feedback.add(stored.id, said.dataset, verdictOf(said, stored)))
  })
  app.get<{ Querystring: FeedbackQuery }>('/v1/feedback', documented('Lists feedback, oldest first',
    { query: feedbackQuery, response: feedbackList, access: 'admin' }), ({ query: { dataset, limit, after } }) => {
    const entries = services.feedback.list({ dataset, after, limit: limit + 1 })
    const data = entries.slice(0, limit).map(feedbackObject)
    return { object: 'list', data, has_more: entries.length > limit }
  })
  app.delete<WithId>('/v1/feedback/:id', documented('Deletes feedback',
    { params, response: deletedObject, access: 'admin' }), ({ params: { id } }) => {
    services.feedback.delete(id)
    return { id, object: 'feedback', deleted: true }
  })
}
