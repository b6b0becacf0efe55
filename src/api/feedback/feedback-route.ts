/** What people say of stored chat completions: `/v1/feedback`. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { documented } from '../plugins/openapi.js'
import {
  checkFeedback, feedbackBody, feedbackList, feedbackObject, feedbackOf, feedbackQuery, verdictOf, type FeedbackBody,
  type FeedbackQuery
} from './feedback-schema.js'
import { deleted, deletedObject } from '../schemas/answer-schemas.js'
import type { Services } from '../services.js'

interface WithId { Params: { id: string } }
const params = Type.Object({ id: Type.String() })

export function feedback (app: FastifyInstance, services: Services): void {
  app.post<{ Body: FeedbackBody }>('/v1/feedback', documented('Says something of a stored chat completion',
    { body: feedbackBody, response: feedbackObject, access: 'admin' }), async ({ body: said }) => {
    checkFeedback(said)
    const stored = await services.store.chats.completion(said.completion_id, 'completion_id')
    return feedbackOf(await services.store.chats.add(stored.id, said.dataset, verdictOf(said, stored)))
  })
  app.get<{ Querystring: FeedbackQuery }>('/v1/feedback', documented('Lists feedback, oldest first',
    { query: feedbackQuery, response: feedbackList, access: 'admin' }),
  async ({ query }): Promise<Static<typeof feedbackList>> => {
    const { entries, hasMore } = await services.store.chats.list(query)
    return { object: 'list', data: entries.map(feedbackOf), has_more: hasMore }
  })
  app.delete<WithId>('/v1/feedback/:id', documented('Deletes feedback',
    { params, response: deletedObject, access: 'admin' }), async ({ params: { id } }) => {
    await services.store.chats.delete(id)
    return deleted(id, 'feedback')
  })
}
