/**
 * The body of `POST /v1/feedback`, the query of `GET /v1/feedback`, and how a body becomes a verdict on a stored
 * completion.
 */
import { Type, type Static } from 'typebox'
import { Checker } from '../../checker.js'
import type { FeedbackEntry, StoredCompletion, Verdict } from '../../stores/chats.js'
import { RequestError } from '../../errors.js'
import { refuse } from '../../validation.js'
import { listOf } from '../alignment/alignment-types.js'
import type { ChatCompletion } from '../chat/chat-types.js'
import { listObject } from '../schemas/answer-schemas.js'

const closed = { additionalProperties: false } as const
const answer = (description: string) => Type.Optional(Type.Union(
  [Type.Integer({ minimum: 0, maximum: 127 }), Type.String({ minLength: 1, maxLength: 1 << 20 })], { description }
))

const feedbackSchema = Type.Object({
  completion_id: Type.String({
    minLength: 1, maxLength: 128, description: 'id of a chat completion that was asked for with store: true'
  }),
  dataset: Type.String({
    pattern: '^[\\w.-]{1,64}$',
    default: 'default',
    description: '1 to 64 letters, digits, points, hyphens and underscores: what the feedback is collected under'
  }),
  choice: Type.Optional(Type.Integer({
    minimum: 0, maximum: 127, description: 'index of the choice that label or score is about; default 0'
  })),
  label: Type.Optional(Type.Enum([0, 1], { description: '1 good, 0 bad' })),
  score: Type.Optional(Type.Number({ description: 'how good it is, on any scale' })),
  chosen: answer('the better answer: index of a choice, or a text'),
  rejected: answer('the worse one')
}, closed)

const feedbackQuerySchema = Type.Object({
  dataset: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  limit: Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'entries of a page' }),
  after: Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: 'id of the entry before the first' }))
}, closed)

export type FeedbackBody = Static<typeof feedbackSchema>
export type FeedbackQuery = Static<typeof feedbackQuerySchema>
export const feedbackBody = new Checker(feedbackSchema)
export const feedbackQuery = new Checker(feedbackQuerySchema, { coerce: true })

/** @throws RequestError for fields that contradict each other */
export function checkFeedback ({ label, score, chosen, rejected, choice }: FeedbackBody): void {
  const kinds =
    [label !== undefined, score !== undefined, chosen !== undefined || rejected !== undefined].filter(Boolean).length
  if (kinds !== 1) {
    throw new RequestError('invalid_request', 'provide exactly one of: label, score, or chosen with rejected',
      { param: 'label' })
  }
  if ((chosen === undefined) !== (rejected === undefined)) {
    throw refuse(chosen === undefined ? 'chosen' : 'rejected', 'must be given too: a pair has both', undefined)
  }
  if (chosen !== undefined && choice !== undefined) throw refuse('choice', 'belongs to label and score', choice)
}

/** @throws RequestError for a choice that the completion does not have, or an answer against itself */
export function verdictOf (
  { choice, label, score, chosen, rejected }: FeedbackBody, { completion }: StoredCompletion
): Verdict {
  const { choices } = completion as ChatCompletion
  const textOf = (field: string, given: number | string): string => {
    if (typeof given === 'string') return given
    const text = choices[given]?.message.content
    if (text === undefined || text === null) {
      throw refuse(field, `must be a choice of the completion, from 0 to ${choices.length - 1}`, given)
    }
    if (text === '') throw refuse(field, 'must be a choice with text', given)
    return text
  }
  if (label !== undefined) return { kind: 'labels', answer: textOf('choice', choice ?? 0), label }
  if (score !== undefined) return { kind: 'scores', answer: textOf('choice', choice ?? 0), score }
  const pair = { kind: 'pairs', chosen: textOf('chosen', chosen!), rejected: textOf('rejected', rejected!) } as const
  if (pair.chosen === pair.rejected) throw refuse('rejected', 'must be another answer than chosen', pair.rejected)
  return pair
}

export const feedbackObject = Type.Object({
  id: Type.String(),
  object: Type.Literal('feedback'),
  created: Type.Integer(),
  completion_id: Type.String(),
  dataset: Type.String(),
  kind: Type.Enum(['pairs', 'labels', 'scores']),
  messages: listOf(Type.Object({ role: Type.String(), content: Type.String() })),
  chosen: Type.Optional(Type.String()),
  rejected: Type.Optional(Type.String()),
  answer: Type.Optional(Type.String()),
  label: Type.Optional(Type.Enum([0, 1])),
  score: Type.Optional(Type.Number())
})
export const feedbackList = Type.Object({ ...listObject(feedbackObject).properties, has_more: Type.Boolean() })

/** Feedback as responses tell it. */
export function feedbackOf (
  { id, completionId, dataset, created, messages, verdict: { kind, ...said } }: FeedbackEntry
): Static<typeof feedbackObject> {
  return { id, object: 'feedback', created, completion_id: completionId, dataset, kind, messages, ...said }
}
