/** Items of `POST /v1/responses`: what a caller gives, what is kept of it, and the messages that a model reads. */
import { randomUUID } from 'node:crypto'
import { Type, type Static } from 'typebox'
import type { ChatMessage } from '../../rewards/scorer.js'
import type { ResponseMessage } from '../wire-types.js'

/** An id as OpenAI's have it. */
export const newId = (prefix: 'resp' | 'msg'): string => `${prefix}_${randomUUID().replaceAll('-', '')}`

/** An object that is passed over. */
const open = Type.Record(Type.String(), Type.Unknown())

const part = Type.Object({
  type: Type.Enum(['input_text', 'output_text']),
  text: Type.String(),
  // As in answers that clients send back.
  annotations: Type.Optional(Type.Array(open)),
  logprobs: Type.Optional(Type.Array(open))
}, { additionalProperties: false })

export const itemSchema = Type.Object({
  type: Type.Literal('message', { default: 'message' }),
  role: Type.Enum(['system', 'developer', 'user', 'assistant']),
  content: Type.Union([Type.String(), Type.Array(part, { minItems: 1 })]),
  id: Type.Optional(Type.String({ maxLength: 128 })),
  status: Type.Optional(Type.Enum(['in_progress', 'completed', 'incomplete'])),
  phase: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  alignment: Type.Optional(open)
}, { additionalProperties: false })

/** A checked item as responses list it; what it lacks is filled in. */
export function itemOf ({ id, role, status, content }: Static<typeof itemSchema>): ResponseMessage {
  const texts = typeof content === 'string' ? [content] : content.map(({ text }) => text)
  return {
    id: id ?? newId('msg'),
    type: 'message',
    role: role as ResponseMessage['role'],
    status: (status ?? 'completed') as ResponseMessage['status'],
    content: texts.map(text => role === 'assistant' ? { type: 'output_text', text, annotations: [] } : { type: 'input_text', text })
  }
}

/** An answer as one of the messages before the next: without its logprobs and scores. */
export function withoutScores ({ id, type, role, status, content }: ResponseMessage): ResponseMessage {
  return { id, type, role, status, content: content.map(({ type, text }) => ({ type, text, annotations: [] })) }
}

/** An item as the model's template takes it. */
export function messageOf ({ role, content }: ResponseMessage): ChatMessage {
  return { role: role === 'developer' ? 'system' : role, content: content.map(({ text }) => text).join('') }
}
