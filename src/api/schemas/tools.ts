/** `tools`, `tool_choice` and `parallel_tool_calls`: which functions an answer may or must call, and the messages of calls and their results. */
import { Type, type Static } from 'typebox'
import { callBegins, callEnds, callGrammar, type CallableFunction } from '../../grammar/tool-calls.js'
import type { GrammarRequest } from '../../inference/protocol.js'
import { refuse } from '../../validation.js'

type Fields = Readonly<Record<string, unknown>>

const functionName = Type.String({ description: '1 to 64 letters, digits, _ or -' })

export const toolsSchema = Type.Array(Type.Object({
  type: Type.Literal('function'),
  function: Type.Object({
    name: functionName,
    description: Type.Optional(Type.String()),
    parameters: Type.Optional(Type.Object({})),
    strict: Type.Optional(Type.Union([Type.Boolean(), Type.Null()]))
  })
}), { maxItems: 128 })

export const toolChoiceSchema = Type.Union([
  Type.Enum(['none', 'auto', 'required']),
  Type.Object({ type: Type.Literal('function'), function: Type.Object({ name: functionName }) })
])

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

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

function functionOf (tool: unknown, path: string): CallableFunction {
  if (!isObject(tool)) throw refuse(path, 'must be an object with type and function', tool)
  if (tool['type'] !== 'function') throw refuse(`${path}.type`, 'must be function', tool['type'])
  const given = tool['function']
  if (!isObject(given)) throw refuse(`${path}.function`, 'must be an object with name and parameters', given)
  const unknown = Object.keys(given).find(name => !['name', 'description', 'parameters', 'strict'].includes(name))
  if (unknown !== undefined) throw refuse(`${path}.function.${unknown}`, 'is not a field; there are name, description, parameters, strict', given[unknown])
  const { name, description, parameters, strict } = given
  if (typeof name !== 'string' || !/^[\w-]{1,64}$/.test(name)) throw refuse(`${path}.function.name`, 'must be 1 to 64 letters, digits, _ or -', name)
  if (description !== undefined && description !== null && typeof description !== 'string') throw refuse(`${path}.function.description`, 'must be a text', description)
  if (strict !== undefined && strict !== null && typeof strict !== 'boolean') throw refuse(`${path}.function.strict`, 'must be true or false', strict)
  if (parameters === undefined || parameters === null) return { name, parameters: null, strict: false, path: '' }
  if (!isObject(parameters) || (parameters['type'] !== 'object' && Object.keys(parameters).length > 0)) throw refuse(`${path}.function.parameters`, 'must be a JSON Schema of type object', parameters)
  return { name, parameters: { type: 'object', ...parameters }, strict: strict === true, path: `${path}.function.parameters` }
}

function functionsOf (tools: unknown): CallableFunction[] {
  if (tools === undefined || tools === null) return []
  if (!Array.isArray(tools) || tools.length > 128) throw refuse('tools', 'must be a list of at most 128', tools)
  const functions = tools.map((tool, index) => functionOf(tool, `tools[${index}]`))
  const twice = functions.findIndex(({ name }, index) => functions.findIndex(other => other.name === name) < index)
  if (twice >= 0) throw refuse(`tools[${twice}].function.name`, 'must be a name of its own', functions[twice]!.name)
  return functions
}

/** Names of the functions that may be called, and whether one must be. */
function choiceOf (choice: unknown, functions: readonly CallableFunction[]): { readonly functions: readonly CallableFunction[], readonly isForced: boolean } {
  if (choice === undefined || choice === null || choice === 'auto') return { functions, isForced: false }
  if (choice === 'none') return { functions: [], isForced: false }
  if (functions.length === 0) throw refuse('tool_choice', 'needs tools', choice)
  if (choice === 'required') return { functions, isForced: true }
  const name = isObject(choice) && choice['type'] === 'function' && isObject(choice['function']) ? choice['function']['name'] : undefined
  if (name === undefined) throw refuse('tool_choice', 'must be one of none, auto, required, or {type: "function", function: {name}}', choice)
  const named = functions.filter(one => one.name === name)
  if (named.length === 0) throw refuse('tool_choice.function.name', `must be one of tools: ${functions.map(one => one.name).join(', ')}`, name)
  return { functions: named, isForced: true }
}

/**
 * What a body says of tools.
 * @throws RequestError naming the field, the rule and the value
 */
export function toolsOf ({ tools, tool_choice: choice, parallel_tool_calls: parallel }: { readonly tools: unknown, readonly tool_choice: unknown, readonly parallel_tool_calls: boolean }): ToolUse {
  const { functions, isForced } = choiceOf(choice, functionsOf(tools))
  if (functions.length === 0) return { tools: [], grammar: null }
  // One function that is named is called once.
  const mayRepeat = parallel && !isObject(choice)
  return { tools: tools as object[], grammar: { text: callGrammar({ functions, mayBeText: !isForced, mayRepeat }), param: 'tools' } }
}

/** A call as the model writes it, or wrote it. */
export function writtenCall ({ function: { name, arguments: given } }: Static<typeof toolCallSchema>): string {
  return `${callBegins}\n{"name": ${JSON.stringify(name)}, "arguments": ${given}}\n${callEnds}`
}

/** The result of a call as the model reads it, in a turn of the user. */
export const writtenResult = (content: string): string => `<tool_response>\n${content}\n</tool_response>`
