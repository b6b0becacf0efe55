/**
 * `tools`, `tool_choice` and `parallel_tool_calls`: which functions an answer may or must call, and the messages of
 * calls and their results.
 */
import { Type, type Static } from 'typebox'
import { anyObject, kinds, nullable, unsupported } from '../../checker.js'
import type { CallableFunction } from '../../grammar/tool-call-grammar.js'
import type { GrammarRequest } from '../../serving/protocol.js'
import type { CallForm } from '../../models/tokenizer/tool-call-format.js'
import { isObject, refuse } from '../../validation.js'
import { schemaText } from '../schemas/schema-text.js'
import { plainName } from './response-format-schema.js'

const functionFields = {
  name: plainName,
  // null is a value of its own: the model and the caller are told of it as it was given.
  description: Type.Optional(nullable(Type.String(), {})),
  parameters: Type.Optional(nullable(anyObject(), { description: 'a JSON Schema of type object' })),
  strict: Type.Optional(nullable(Type.Boolean(), {})),
  // Told of in answers to requests that have many: here all are told to the model at once.
  defer_loading: Type.Optional(Type.Literal(false))
}
const anyChoice = Type.Enum(['none', 'auto', 'required'])

/** As chats have them. */
export const toolsSchema = Type.Array(kinds('type', [
  Type.Object({
    type: Type.Literal('function'),
    function: Type.Object(functionFields),
    defer_loading: functionFields.defer_loading
  })
]), { maxItems: 128 })
export const toolChoiceSchema = Type.Union([anyChoice,
  kinds('type', [Type.Object({ type: Type.Literal('function'), function: Type.Object({ name: plainName }) })])])

/** As responses have them: fields of functions beside `type`. */
export const flatToolsSchema = Type.Array(kinds('type', [Type.Object({
  type: Type.Literal('function'), ...functionFields, function: unsupported('its fields stand beside type')
})]), { maxItems: 128 })
export const flatToolChoiceSchema = Type.Union([anyChoice,
  kinds('type', [Type.Object({ type: Type.Literal('function'), name: plainName })])])

/** A call in a message that a client sends back. */
export const toolCallSchema = Type.Object({
  id: Type.String({ maxLength: 128 }),
  type: Type.Literal('function'),
  function: Type.Object({
    name: Type.String({ maxLength: 128 }),
    arguments: Type.String(),
    // As the openai client adds it.
    parsed_arguments: Type.Optional(Type.Unknown())
  }),
  index: Type.Optional(Type.Integer())
})

type NestedTools = Static<typeof toolsSchema>
type FlatTools = Static<typeof flatToolsSchema>

/** What a body says of tools: in the shape of chats, or of responses. */
export interface ToolFields {
  readonly tools: NestedTools | FlatTools | null
  readonly tool_choice: Static<typeof toolChoiceSchema> | Static<typeof flatToolChoiceSchema> | null
  readonly parallel_tool_calls: boolean
}

/** What a request says of tools. */
export interface ToolUse {
  /** As the model is told of them; none where it must not call any. */
  readonly tools: readonly object[]
  /** What holds the answer to them; null where none can be called. */
  readonly grammar: GrammarRequest | null
}

type FunctionFields = NestedTools[number]['function']

/** A function by its fields. @param path what the caller calls them */
function functionOf ({ name, parameters, strict }: FunctionFields, path: string): CallableFunction {
  if (!parameters) return { name, parameters: null, strict: false, path: '' }
  if (parameters['type'] !== 'object' && Object.keys(parameters).length > 0) {
    throw refuse(`${path}.parameters`, 'must be a JSON Schema of type object', parameters)
  }
  const schema = parameters['type'] === undefined ? '{"type":"object"}' : schemaText(parameters)
  return { name, parameters: schema, strict: strict === true, path: `${path}.parameters` }
}

/** Where a tool's or a choice's function has its fields, in the shape that it is written in. */
const fieldsPath = (tool: object, path: string): string => 'function' in tool ? `${path}.function` : path

function functionsOf (tools: NestedTools | FlatTools): CallableFunction[] {
  const functions = tools.map((tool, index) =>
    functionOf('function' in tool && tool.function ? tool.function : tool as FlatTools[number],
      fieldsPath(tool, `tools[${index}]`)))
  const twice = functions.findIndex(({ name }, index) => functions.findIndex(other => other.name === name) < index)
  if (twice >= 0) {
    throw refuse(`${fieldsPath(tools[twice]!, `tools[${twice}]`)}.name`, 'must be a name of its own',
      functions[twice]!.name)
  }
  return functions
}

/** Functions that may be called, and whether one must be. */
function choiceOf (
  choice: ToolFields['tool_choice'], functions: readonly CallableFunction[]
): { readonly functions: readonly CallableFunction[], readonly isForced: boolean } {
  if (choice === null || choice === 'auto') return { functions, isForced: false }
  if (choice === 'none') return { functions: [], isForced: false }
  if (functions.length === 0) throw refuse('tool_choice', 'needs tools', choice)
  if (choice === 'required') return { functions, isForced: true }
  const { name } = 'function' in choice ? choice.function : choice
  const named = functions.filter(one => one.name === name)
  if (named.length === 0) {
    throw refuse(`${fieldsPath(choice, 'tool_choice')}.name`,
      `must be one of tools: ${functions.map(one => one.name).join(', ')}`, name)
  }
  return { functions: named, isForced: true }
}

/** A tool as templates take it, which know the shape of chats. */
function nestedTool (tool: NestedTools[number] | FlatTools[number]): object {
  const { type, defer_loading: _, ...fields } = tool
  return 'function' in fields ? { type, ...fields } : { type, function: fields }
}

/** Tools as a model is told of them that may call any. @throws RequestError naming the field, the rule and the value */
export function toldTools (tools: NestedTools | null): readonly object[] {
  functionsOf(tools ?? [])
  return (tools ?? []).map(nestedTool)
}

/**
 * What a body says of tools.
 * @param form how the model writes calls
 * @throws RequestError naming the field, the rule and the value
 */
export function toolsOf (
  { tools, tool_choice: choice, parallel_tool_calls: parallel }: ToolFields, form: CallForm
): ToolUse {
  const { functions, isForced } = choiceOf(choice, functionsOf(tools ?? []))
  if (functions.length === 0) return { tools: [], grammar: null }
  // One function that is named is called once.
  const mayRepeat = parallel && !isObject(choice)
  return {
    tools: tools!.map(nestedTool),
    grammar: { source: { type: 'calls', rules: { functions, mayBeText: !isForced, mayRepeat }, form }, param: 'tools' }
  }
}
