/**
 * Messages of calls of functions and of their results: as templates that know them take them, and written out in text
 * for all others.
 */
import { callersText, concat, Text } from '../jinja/text.js'
import { Dict, List, valueOf, type Value } from '../jinja/values.js'
import { hermesForm } from './tool-call-format.js'

/** A call that a message makes. */
export interface TemplateCall {
  readonly id: string
  readonly name: string
  /** JSON. */
  readonly arguments: string
}

/** A message as the renderer reads it. */
export interface TemplateMessage {
  readonly role: string
  readonly content: string
  readonly name?: string
  /** Of the assistant, behind its text. */
  readonly calls?: readonly TemplateCall[]
  /** Of role tool: the call that it answers. */
  readonly callId?: string
}

const writtenCall = ({ name, arguments: given }: TemplateCall): string => `${hermesForm.begins}` +
  `${hermesForm.beforeName}${JSON.stringify(name).slice(1, -1)}${hermesForm.afterName}${given}${hermesForm.ends}`

/** One message with what it calls and returns in its text. */
function written ({ calls, callId, ...message }: TemplateMessage): TemplateMessage {
  const { role, content, name } = message
  if (role === 'tool') return { role: 'user', content: `<tool_response>\n${content}\n</tool_response>` }
  if (!calls) return message
  return {
    role,
    content: [...(content === '' ? [] : [content]), ...calls.map(writtenCall)].join('\n'),
    ...(name === undefined ? {} : { name })
  }
}

/**
 * Messages of text alone: calls stand in the assistant's text, results in a turn of the user, those of several calls
 * together. Qwen 2.5's way.
 */
export function writtenMessages (given: readonly TemplateMessage[]): TemplateMessage[] {
  const messages: TemplateMessage[] = []
  for (const [index, one] of given.entries()) {
    const message = written(one)
    const last = messages.at(-1)
    if (one.role === 'tool' && given[index - 1]?.role === 'tool') {
      messages[messages.length - 1] = { ...last!, content: `${last!.content}\n${message.content}` }
    } else messages.push(message)
  }
  return messages
}

/** Roles, which templates may write control tokens with: no caller's words. */
const roles: ReadonlySet<string> = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function', 'ipython'])

/**
 * Arguments as templates write them: an object where they are one; what was cut off, or is nested too deep to be
 * walked, stays as it is. Read before their texts are marked: an escaped letter is a letter then.
 */
function argumentsOf (given: string): Value {
  try {
    const value: unknown = JSON.parse(given)
    if (typeof value === 'object' && value !== null) return valueOf(value)
  } catch {}
  return callersText(given)
}

/** A mapping of fields that templates name; those that are undefined are left out. */
const fields = (given: Readonly<Record<string, Value | undefined>>): Dict =>
  new Dict(Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [[new Text(name), value] as const]))

const optional = (text: string | undefined): Text | undefined => text === undefined ? undefined : callersText(text)

/**
 * A message as templates that know calls take it, in OpenAI's shape. Its texts are a caller's.
 * @param end a template's own text behind the content
 */
export function nativeMessage ({ role, content, name, calls, callId }: TemplateMessage, end = ''): Dict {
  return fields({
    role: roles.has(role) ? new Text(role) : callersText(role),
    content: concat([callersText(content), new Text(end)]),
    name: optional(name),
    tool_calls: calls && new List(calls.map(({ id, name: called, arguments: given }) => fields({
      id: callersText(id),
      type: new Text('function'),
      function: fields({ name: callersText(called), arguments: argumentsOf(given) })
    }))),
    tool_call_id: optional(callId)
  })
}
