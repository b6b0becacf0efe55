/** Messages of calls of functions and of their results: as templates that know them take them, and written out in text for all others. */
import { hermesForm } from './call-form.js'

/** A call that a message makes. */
export interface TemplateCall {
  readonly id: string
  readonly name: string
  /** JSON. */
  readonly arguments: string
}

/** A message as whoever renders it reads it. */
export interface TemplateMessage {
  readonly role: string
  readonly content: string
  readonly name?: string
  /** Of the assistant, behind its text. */
  readonly calls?: readonly TemplateCall[]
  /** Of role tool: the call that it answers. */
  readonly callId?: string
}

const writtenCall = ({ name, arguments: given }: TemplateCall): string => `${hermesForm.begins}${hermesForm.beforeName}${JSON.stringify(name).slice(1, -1)}${hermesForm.afterName}${given}${hermesForm.ends}`

/** One message with what it calls and returns in its text. */
function written ({ calls, callId, ...message }: TemplateMessage): TemplateMessage {
  const { role, content, name } = message
  if (role === 'tool') return { role: 'user', content: `<tool_response>\n${content}\n</tool_response>` }
  if (!calls) return message
  return { role, content: [...(content === '' ? [] : [content]), ...calls.map(writtenCall)].join('\n'), ...(name === undefined ? {} : { name }) }
}

/** Messages of text alone: calls stand in the assistant's text, results in a turn of the user, those of several calls together. Qwen 2.5's way. */
export function writtenMessages (given: readonly TemplateMessage[]): TemplateMessage[] {
  const messages: TemplateMessage[] = []
  for (const [index, one] of given.entries()) {
    const message = written(one)
    const last = messages.at(-1)
    if (one.role === 'tool' && given[index - 1]?.role === 'tool') messages[messages.length - 1] = { ...last!, content: `${last!.content}\n${message.content}` }
    else messages.push(message)
  }
  return messages
}

/** Arguments as templates write them: an object where they are one; what was cut off stays as it is. */
function argumentsOf (given: string): unknown {
  try {
    const value: unknown = JSON.parse(given)
    return typeof value === 'object' && value !== null ? value : given
  } catch {
    return given
  }
}

/** A message as templates that know calls take it, in OpenAI's shape. */
export function nativeMessage ({ calls, callId, ...message }: TemplateMessage): object {
  return {
    ...message,
    ...(calls ? { tool_calls: calls.map(({ id, name, arguments: given }) => ({ id, type: 'function', function: { name, arguments: argumentsOf(given) } })) } : {}),
    ...(callId === undefined ? {} : { tool_call_id: callId })
  }
}
