/**
 * Chat messages as callers give them, calls of functions and their results included, and as the model's template takes
 * them.
 */
import { Type, type Static } from 'typebox'
import type { ChatMessage } from '../../rewards/scorer.js'
import { refuse } from '../../validation.js'
import { toolCallSchema } from './tool-schema.js'

const part = Type.Object({ type: Type.Literal('text'), text: Type.String() }, { additionalProperties: false })
const content = Type.Union([Type.String(), Type.Array(part, { minItems: 1 })])

/** A message of text. */
export const messageSchema = Type.Object({
  role: Type.Enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content,
  name: Type.Optional(Type.String()),
  // As in answers that clients send back.
  refusal: Type.Optional(Type.Null())
}, { additionalProperties: false })

/** A message of a chat in which functions may have been called. */
export const chatMessageSchema = Type.Object({
  ...messageSchema.properties,
  content: Type.Optional(Type.Union([content, Type.Null()])),
  tool_calls: Type.Optional(Type.Union([Type.Array(toolCallSchema, { maxItems: 128 }), Type.Null()])),
  tool_call_id: Type.Optional(Type.String()),
  // As the openai client adds it.
  parsed: Type.Optional(Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]))
}, { additionalProperties: false })

export type ChatMessageBody = Static<typeof chatMessageSchema>

const textOf = (given: Static<typeof content>): string =>
  typeof given === 'string' ? given : given.map(one => one.text).join('')

/** A message of text as the model's template takes it. */
export function messageOf ({ role, content, name }: Static<typeof messageSchema>): ChatMessage {
  return {
    role: role === 'developer' ? 'system' : role as string,
    content: textOf(content),
    ...(name === undefined ? {} : { name })
  }
}

/** One message with what it calls and returns. */
function chatMessageOf (
  { role, content, name, tool_calls: calls, tool_call_id: callId }: ChatMessageBody, path: string
): ChatMessage {
  const hasCalls = calls !== undefined && calls !== null && calls.length > 0
  if (hasCalls && role !== 'assistant') throw refuse(`${path}.tool_calls`, 'are of the assistant only', role)
  if (callId !== undefined && role !== 'tool') throw refuse(`${path}.tool_call_id`, 'is of role tool only', role)
  if (role === 'tool' && callId === undefined) {
    throw refuse(`${path}.tool_call_id`, 'is needed by role tool: the id of the call that it answers', null)
  }
  if (!hasCalls && (content === undefined || content === null)) {
    throw refuse(`${path}.content`, 'is needed where there are no tool_calls', content ?? null)
  }
  const text = content === undefined || content === null ? '' : textOf(content)
  return {
    ...messageOf({ role, content: text, ...(name === undefined ? {} : { name }) }),
    ...(hasCalls
      ? {
          calls: calls.map(({ id, function: { name: called, arguments: given } }) => ({
            id, name: called, arguments: given
          }))
        }
      : {}),
    ...(callId === undefined ? {} : { callId })
  }
}

/**
 * Messages as the model's template takes them.
 * @throws RequestError naming the message and the rule
 */
export const chatMessagesOf = (given: readonly ChatMessageBody[]): ChatMessage[] =>
  given.map((one, index) => chatMessageOf(one, `messages[${index}]`))

/**
 * Checks that each result is of a call in the message of the assistant that it and its neighbours stand behind, as
 * OpenAI does.
 * @throws RequestError naming the first that is not
 */
export function checkResults (messages: readonly ChatMessage[]): void {
  let calls: readonly string[] = []
  for (const [index, { role, calls: made = [], callId }] of messages.entries()) {
    if (role !== 'tool') calls = made.map(({ id }) => id)
    else if (!calls.includes(callId!)) {
      throw refuse(`messages[${index}].tool_call_id`,
        'must be the id of a call that the assistant’s message before the results makes in tool_calls', callId)
    }
  }
}
