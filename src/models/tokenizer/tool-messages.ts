/**
 * Messages of calls of functions and of their results: as templates that know them take them, and written out in text
 * for all others.
 */
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

/** A value with every text in it changed, names of fields included. */
export function mapTexts (value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map(inner => mapTexts(inner, change))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [change(name), mapTexts(inner, change)]))
}

/**
 * Arguments as templates write them: an object where they are one; what was cut off, or is nested too deep to be
 * walked, stays as it is.
 */
function argumentsOf (given: string, shown: (text: string) => string): unknown {
  try {
    const value: unknown = JSON.parse(given)
    if (typeof value === 'object' && value !== null) return mapTexts(value, shown)
  } catch {}
  return shown(given)
}

/**
 * A message as templates that know calls take it, in OpenAI's shape.
 * @param shown every text of the message as the template is to see it; of arguments, once they are read: an escaped
 * letter is a letter then
 */
export function nativeMessage (
  { role, content, name, calls, callId }: TemplateMessage, shown: (text: string) => string
): { readonly role: string, readonly content: string } {
  return {
    role: shown(role),
    content: shown(content),
    ...(name === undefined ? {} : { name: shown(name) }),
    ...(calls
      ? {
          tool_calls: calls.map(({ id, name: called, arguments: given }) => ({
            id: shown(id), type: 'function', function: { name: shown(called), arguments: argumentsOf(given, shown) }
          }))
        }
      : {}),
    ...(callId === undefined ? {} : { tool_call_id: shown(callId) })
  }
}
