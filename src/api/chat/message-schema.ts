/**
 * Chat messages as callers give them, calls of functions and their results included, and as the model's template takes
 * them.
 */
import { Type, type Static } from 'typebox'
import { kinds, unsupported } from '../../checker.js'
import type { ChatMessage } from '../../rewards/scorer.js'
import { refuse } from '../../validation.js'
import { toolCallSchema } from './tool-schema.js'

const content = Type.Union([Type.String(), Type.Array(kinds('type', [
  Type.Object({ type: Type.Literal('text'), text: Type.String() }),
  Type.Object({ type: Type.Literal('refusal'), refusal: Type.String() })
]), { minItems: 1 })])

/** A message of text. */
export const messageSchema = Type.Object({
  role: Type.Enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content,
  // OpenAI's figure.
  name: Type.Optional(Type.String({ maxLength: 64 })),
  refusal: Type.Optional(Type.String({ description: 'read where there is no content' }))
})

/** A message of a chat in which functions may have been called. */
export const chatMessageSchema = Type.Object({
  ...messageSchema.properties,
  content: Type.Optional(content),
  tool_calls: Type.Optional(Type.Array(toolCallSchema, { maxItems: 128 })),
  tool_call_id: Type.Optional(Type.String({ maxLength: 128 })),
  // As in answers that clients send back, and as the openai client adds it.
  annotations: Type.Optional(Type.Unknown()),
  parsed: Type.Optional(Type.Unknown()),
  audio: unsupported('answers are text'),
  function_call: unsupported('say tool_calls')
})

export type ChatMessageBody = Static<typeof chatMessageSchema>

const textOf = (given: Static<typeof content>): string => typeof given === 'string'
  ? given
  : given.map(one => one.type === 'text' ? one.text : one.refusal).join('')

/** A message of text as the model's template takes it. */
export function messageOf ({ role, content, name }: Static<typeof messageSchema>): ChatMessage {
  return {
    role: role === 'developer' ? 'system' : role,
    content: textOf(content),
    ...(name === undefined ? {} : { name })
  }
}

/** One message with what it calls and returns. */
function chatMessageOf (
  { role, content: given, refusal, name, tool_calls: calls = [], tool_call_id: callId }: ChatMessageBody, path: string
): ChatMessage {
  const content = given ?? refusal
  const hasCalls = calls.length > 0
  if (hasCalls && role !== 'assistant') throw refuse(`${path}.tool_calls`, 'are of the assistant only', role)
  if (callId !== undefined && role !== 'tool') throw refuse(`${path}.tool_call_id`, 'is of role tool only', role)
  if (role === 'tool' && callId === undefined) {
    throw refuse(`${path}.tool_call_id`, 'is needed by role tool: the id of the call that it answers', null)
  }
  if (!hasCalls && content === undefined) {
    throw refuse(`${path}.content`, 'is needed where there are no tool_calls', null)
  }
  return {
    ...messageOf({ role, content: content ?? '', ...(name === undefined ? {} : { name }) }),
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
