/** Items of `POST /v1/responses`: what a caller gives, what is kept of it, and the messages that a model reads. */
import { randomUUID } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { kinds } from '../../checker.js'
import type { ChatMessage } from '../../rewards/scorer.js'
import { refuse } from '../../validation.js'
import type { ResponseItem } from './response-types.js'
import { chatMessagesOf, type ChatMessageBody } from '../chat/message-schema.js'

/** An id as OpenAI's have it. */
export const newId = (prefix: 'resp' | 'msg' | 'fc' | 'fco' | 'call'): string =>
  `${prefix}_${randomUUID().replaceAll('-', '')}`

/** What is passed over: as in answers that clients send back, and as the openai client adds it. */
const passedOver = Type.Optional(Type.Unknown())

const text = {
  text: Type.String(), annotations: passedOver, logprobs: passedOver, parsed: passedOver
}
const parts = Type.Array(kinds('type', [
  Type.Object({ type: Type.Literal('input_text'), ...text }),
  Type.Object({ type: Type.Literal('output_text'), ...text }),
  Type.Object({ type: Type.Literal('refusal'), refusal: Type.String() })
]), { minItems: 1 })
const content = Type.Union([Type.String(), parts])

/** What items of every type have. */
const common = {
  id: Type.Optional(Type.String({ maxLength: 128 })),
  status: Type.Optional(Type.Enum(['in_progress', 'completed', 'incomplete'])),
  alignment: passedOver
}
const callId = Type.String({ minLength: 1, maxLength: 128 })

const messageItem = Type.Object({
  type: Type.Literal('message', { default: 'message' }),
  role: Type.Enum(['system', 'developer', 'user', 'assistant']),
  content,
  phase: passedOver,
  ...common
})

const callItem = Type.Object({
  type: Type.Literal('function_call'),
  call_id: callId,
  name: Type.String({ minLength: 1, maxLength: 128 }),
  arguments: Type.String(),
  parsed_arguments: passedOver,
  ...common
})

const resultItem = Type.Object({
  type: Type.Literal('function_call_output'),
  call_id: callId,
  output: content,
  ...common
})

/** Stands for an item that a stored response read or wrote. */
const reference = Type.Object({
  type: Type.Literal('item_reference', { default: 'item_reference' }),
  id: Type.String({ minLength: 1, maxLength: 128 })
})

export const itemSchema = kinds('type', [messageItem, callItem, resultItem, reference])

type GivenItem = Static<typeof itemSchema>

const textsOf = (given: Static<typeof content>): string[] => typeof given === 'string'
  ? [given]
  : given.map(part => part.type === 'refusal' ? part.refusal : part.text)

/** A checked item as responses list it; what it lacks is filled in. */
export function itemOf (given: Exclude<GivenItem, Static<typeof reference>>): ResponseItem {
  const status = given.status ?? 'completed'
  switch (given.type) {
    case 'function_call': return {
      id: given.id ?? newId('fc'),
      type: 'function_call',
      status,
      call_id: given.call_id,
      name: given.name,
      arguments: given.arguments
    }
    case 'function_call_output': return {
      id: given.id ?? newId('fco'),
      type: 'function_call_output',
      status,
      call_id: given.call_id,
      output: textsOf(given.output).join('')
    }
    default: {
      const { role } = given
      return {
        id: given.id ?? newId('msg'),
        type: 'message',
        role,
        status,
        content: textsOf(given.content).map(text =>
          role === 'assistant' ? { type: 'output_text', text, annotations: [] } : { type: 'input_text', text })
      }
    }
  }
}

/** A part of an answer as one of the items before the next: without its logprobs and scores. */
export function withoutScores (item: ResponseItem): ResponseItem {
  const { alignment, ...rest } = item
  return rest.type === 'message'
    ? { ...rest, content: rest.content.map(({ type, text }) => ({ type, text, annotations: [] })) }
    : rest
}

/**
 * An item as a message of a chat. A call has a message of its own, unless it follows the text or the call of the same
 * turn.
 */
function addMessage (messages: ChatMessageBody[], item: ResponseItem): void {
  switch (item.type) {
    case 'message':
      messages.push({ role: item.role, content: item.content.map(({ text }) => text).join('') })
      break
    case 'function_call': {
      const call = {
        id: item.call_id, type: 'function' as const, function: { name: item.name, arguments: item.arguments }
      }
      const last = messages.at(-1)
      if (last?.role === 'assistant') {
        messages[messages.length - 1] = { ...last, tool_calls: [...last.tool_calls ?? [], call] }
      } else messages.push({ role: 'assistant', tool_calls: [call] })
      break
    }
    case 'function_call_output':
      messages.push({ role: 'tool', tool_call_id: item.call_id, content: item.output })
  }
}

/**
 * Items as the model's template takes them.
 * @throws RequestError for the result of a call that is not there
 */
export function messagesOfItems (items: readonly ResponseItem[]): ChatMessage[] {
  const messages: ChatMessageBody[] = []
  const calls = new Set<string>()
  for (const item of items) {
    if (item.type === 'function_call') calls.add(item.call_id)
    if (item.type === 'function_call_output' && !calls.has(item.call_id)) {
      throw refuse('input',
        'must hold the function_call that a function_call_output answers, before it, unless previous_response_id does',
        item.call_id)
    }
    addMessage(messages, item)
  }
  return chatMessagesOf(messages)
}
