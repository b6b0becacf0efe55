/**
 * `tools`, `tool_choice` and `parallel_tool_calls`: which functions an answer may or must call, and the messages of
 * calls and their results.
 */
import { Type } from 'typebox'
import { callGrammar, type CallableFunction } from '../../grammar/tool-calls.js'
import type { GrammarRequest } from '../../serving/protocol.js'
import type { CallForm } from '../../models/tokenizer/call-form.js'
import { isObject, refuse } from '../../validation.js'

type Fields = Readonly<Record<string, unknown>>

const functionName = Type.String({ description: '1 to 64 letters, digits, _ or -' })

const functionFields = {
  name: functionName,
  description: Type.Optional(Type.String()),
  parameters: Type.Optional(Type.Object({})),
  strict: Type.Optional(Type.Union([Type.Boolean(), Type.Null()]))
}
const anyChoice = Type.Enum(['none', 'auto', 'required'])

/** As chats have them. */
export const toolsSchema =
  Type.Array(Type.Object({ type: Type.Literal('function'), function: Type.Object(functionFields) }), { maxItems: 128 })
export const toolChoiceSchema = Type.Union([anyChoice,
  Type.Object({ type: Type.Literal('function'), function: Type.Object({ name: functionName }) })])

/** As responses have them: fields of functions beside `type`. */
export const flatToolsSchema = Type.Array(Type.Object({ type: Type.Literal('function'), ...functionFields }),
  { maxItems: 128 })
export const flatToolChoiceSchema = Type.Union([anyChoice,
  Type.Object({ type: Type.Literal('function'), name: functionName })])

/** A call in a message that a client sends back. */
export const toolCallSchema = Type.Object({
  id: Type.String(),
  type: Type.Literal('function'),
  function: Type.Object({
    name: Type.String(),
    arguments: Type.String(),
    // As the openai client adds it.
    parsed_arguments: Type.Optional(Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]))
  }, { additionalProperties: false }),
  index: Type.Optional(Type.Integer())
}, { additionalProperties: false })

/** What a request says of tools. */
export interface ToolUse {
  /** As the model is told of them; none where it must not call any. */
  readonly tools: readonly object[]
  /** What holds the answer to them; null where none can be called. */
  readonly grammar: GrammarRequest | null
}

/** A function by its fields. @param path what the caller calls them */
function functionOf (given: Fields, path: string): CallableFunction {
  const unknown = Object.keys(given).find(name => !Object.hasOwn(functionFields, name))
  if (unknown !== undefined) {
    throw refuse(`${path}.${unknown}`, `is not a field; there are ${Object.keys(functionFields).join(', ')}`,
      given[unknown])
  }
  const { name, description, parameters, strict } = given
  if (typeof name !== 'string' ||
      !/^[\w-]{1,64}$/.test(name)) throw refuse(`${path}.name`, 'must be 1 to 64 letters, digits, _ or -', name)
  if (description !== undefined && description !== null &&
      typeof description !== 'string') throw refuse(`${path}.description`, 'must be a text', description)
  if (strict !== undefined && strict !== null &&
      typeof strict !== 'boolean') throw refuse(`${path}.strict`, 'must be true or false', strict)
  if (parameters === undefined || parameters === null) return { name, parameters: null, strict: false, path: '' }
  if (!isObject(parameters) || (parameters['type'] !== 'object' && Object.keys(parameters).length > 0)) {
    throw refuse(`${path}.parameters`, 'must be a JSON Schema of type object', parameters)
  }
  return { name, parameters: { type: 'object', ...parameters }, strict: strict === true, path: `${path}.parameters` }
}

/** How an endpoint writes a function and its choice: chats in a field `function`, responses beside `type`. */
export type ToolShape = 'nested' | 'flat'

function toolOf (tool: unknown, path: string, shape: ToolShape): CallableFunction {
  if (!isObject(tool)) {
    throw refuse(path,
      shape === 'nested' ? 'must be an object with type and function' : 'must be an object with type and name', tool)
  }
  const { type, ...fields } = tool
  if (type !== 'function') throw refuse(`${path}.type`, 'must be function', type)
  if (shape === 'flat') return functionOf(fields, path)
  const given = fields['function']
  if (!isObject(given)) throw refuse(`${path}.function`, 'must be an object with name and parameters', given)
  return functionOf(given, `${path}.function`)
}

function functionsOf (tools: unknown, shape: ToolShape): CallableFunction[] {
  if (tools === undefined || tools === null) return []
  if (!Array.isArray(tools) || tools.length > 128) throw refuse('tools', 'must be a list of at most 128', tools)
  const functions = tools.map((tool, index) => toolOf(tool, `tools[${index}]`, shape))
  const twice = functions.findIndex(({ name }, index) => functions.findIndex(other => other.name === name) < index)
  if (twice >= 0) {
    throw refuse(`tools[${twice}]${shape === 'nested' ? '.function' : ''}.name`, 'must be a name of its own',
      functions[twice]!.name)
  }
  return functions
}

/** Functions that may be called, and whether one must be. */
function choiceOf (
  choice: unknown, functions: readonly CallableFunction[], shape: ToolShape
): { readonly functions: readonly CallableFunction[], readonly isForced: boolean } {
  if (choice === undefined || choice === null || choice === 'auto') return { functions, isForced: false }
  if (choice === 'none') return { functions: [], isForced: false }
  if (functions.length === 0) throw refuse('tool_choice', 'needs tools', choice)
  if (choice === 'required') return { functions, isForced: true }
  const given =
    isObject(choice) && choice['type'] === 'function' ? shape === 'nested' ? choice['function'] : choice : undefined
  if (!isObject(given) || given['name'] === undefined) {
    throw refuse('tool_choice', 'must be one of none, auto, required, or ' +
      `${shape === 'nested' ? '{type: "function", function: {name}}' : '{type: "function", name}'}`, choice)
  }
  const { name } = given
  const named = functions.filter(one => one.name === name)
  if (named.length === 0) {
    throw refuse(shape === 'nested' ? 'tool_choice.function.name' : 'tool_choice.name',
      `must be one of tools: ${functions.map(one => one.name).join(', ')}`, name)
  }
  return { functions: named, isForced: true }
}

/** A tool as templates take it, which know the shape of chats. */
function nestedTool (tool: Fields): object {
  const { type, ...fields } = tool
  return { type, function: fields }
}

/** Tools as a model is told of them that may call any. @throws RequestError naming the field, the rule and the value */
export function toldTools (tools: unknown): readonly object[] {
  functionsOf(tools, 'nested')
  return (tools ?? []) as object[]
}

/**
 * What a body says of tools.
 * @param form how the model writes calls
 * @throws RequestError naming the field, the rule and the value
 */
export function toolsOf ({ tools, tool_choice: choice, parallel_tool_calls: parallel }: {
  readonly tools: unknown, readonly tool_choice: unknown, readonly parallel_tool_calls: boolean
}, form: CallForm, shape: ToolShape = 'nested'): ToolUse {
  const { functions, isForced } = choiceOf(choice, functionsOf(tools, shape), shape)
  if (functions.length === 0) return { tools: [], grammar: null }
  // One function that is named is called once.
  const mayRepeat = parallel && !isObject(choice)
  return {
    tools: shape === 'nested' ? tools as object[] : (tools as Fields[]).map(nestedTool),
    grammar: { text: callGrammar({ functions, mayBeText: !isForced, mayRepeat }, form), param: 'tools' }
  }
}
