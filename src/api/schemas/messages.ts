/** Chat messages as callers give them, calls of functions and their results included, and as the model's template takes them. */
import { Type, type Static } from 'typebox'
import type { ChatMessage } from '../../rewards/scorer.js'
import { refuse } from '../../validation.js'
import { toolCallSchema, writtenCall, writtenResult } from './tools.js'

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

const textOf = (given: Static<typeof content>): string => typeof given === 'string' ? given : given.map(one => one.text).join('')

/** A message of text as the model's template takes it. */
export function messageOf ({ role, content, name }: Static<typeof messageSchema>): ChatMessage {
  return { role: role === 'developer' ? 'system' : role as string, content: textOf(content), ...(name === undefined ? {} : { name }) }
}

/** One message with what it calls and returns written out. */
function writtenMessage ({ role, content, name, tool_calls: calls, tool_call_id: callId }: ChatMessageBody, path: string): ChatMessage {
  const hasCalls = calls !== undefined && calls !== null && calls.length > 0
  if (hasCalls && role !== 'assistant') throw refuse(`${path}.tool_calls`, 'are of the assistant only', role)
  if (callId !== undefined && role !== 'tool') throw refuse(`${path}.tool_call_id`, 'is of role tool only', role)
  if (role === 'tool' && callId === undefined) throw refuse(`${path}.tool_call_id`, 'is needed by role tool: the id of the call that it answers', null)
  if (!hasCalls && (content === undefined || content === null)) throw refuse(`${path}.content`, 'is needed where there are no tool_calls', content ?? null)
  const text = content === undefined || content === null ? '' : textOf(content)
  if (role === 'tool') return { role: 'user', content: writtenResult(text) }
  const written = [...(text === '' ? [] : [text]), ...(hasCalls ? calls.map(writtenCall) : [])].join('\n')
  return messageOf({ role, content: hasCalls ? written : text, ...(name === undefined ? {} : { name }) })
}

/**
 * Messages as the model's template takes them: calls stand in the assistant's text, results in a turn of the user, those of several calls together.
 * @throws RequestError naming the message and the rule
 */
export function chatMessagesOf (given: readonly ChatMessageBody[]): ChatMessage[] {
  const messages: ChatMessage[] = []
  for (const [index, one] of given.entries()) {
    const message = writtenMessage(one, `messages[${index}]`)
    const last = messages.at(-1)
    if (one.role === 'tool' && given[index - 1]?.role === 'tool') messages[messages.length - 1] = { ...last!, content: `${last!.content}\n${message.content}` }
    else messages.push(message)
  }
  return messages
}
