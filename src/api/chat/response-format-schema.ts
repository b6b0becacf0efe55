/** `response_format`: what an answer is held to, and the grammar that holds it. */
import { Type } from 'typebox'
import { objectGrammar, schemaGrammar } from '../../grammar/json-schema-grammar.js'
import type { GrammarRequest } from '../../serving/protocol.js'
import { isObject, refuse } from '../../validation.js'

const jsonSchema = Type.Object({
  name: Type.String({ pattern: '^[\\w-]{1,64}$', description: '1 to 64 letters, digits, _ or -' }),
  description: Type.Optional(Type.String()),
  schema: Type.Optional(Type.Object({})),
  strict: Type.Optional(Type.Union([Type.Boolean(), Type.Null()],
    { description: 'without effect: the answer is held to the schema either way' }))
}, { additionalProperties: false })

const plainText = Type.Object({ type: Type.Literal('text') }, { additionalProperties: false })
const anyJson = Type.Object({ type: Type.Literal('json_object') }, { additionalProperties: false })

export const responseFormatSchema = Type.Union([
  plainText,
  anyJson,
  Type.Object({ type: Type.Literal('json_schema'), json_schema: jsonSchema }, { additionalProperties: false })
])

type Fields = Readonly<Record<string, unknown>>

function checkNames (fields: Fields, names: readonly string[], path: string): void {
  const unknown = Object.keys(fields).find(name => !names.includes(name))
  if (unknown !== undefined) {
    throw refuse(`${path}.${unknown}`, `is not a field; there are ${names.join(', ')}`, fields[unknown])
  }
}

/**
 * The grammar of a named JSON Schema.
 * @param fields name, description, schema, strict
 * @param path what the caller calls them
 * @throws RequestError naming the field, the rule and the value
 */
export function namedSchemaGrammar (fields: unknown, path: string): string {
  if (!isObject(fields)) throw refuse(path, 'must be an object with name and schema', fields)
  checkNames(fields, ['name', 'description', 'schema', 'strict'], path)
  const { name, description, schema, strict } = fields
  if (typeof name !== 'string' ||
      !/^[\w-]{1,64}$/.test(name)) throw refuse(`${path}.name`, 'must be 1 to 64 letters, digits, _ or -', name)
  if (description !== undefined && description !== null &&
      typeof description !== 'string') throw refuse(`${path}.description`, 'must be a text', description)
  if (strict !== undefined && strict !== null &&
      typeof strict !== 'boolean') throw refuse(`${path}.strict`, 'must be true or false', strict)
  return schema === undefined || schema === null ? objectGrammar() : schemaGrammar(schema, `${path}.schema`)
}

/** `text` of responses: the same with its fields side by side. */
export const textSchema = Type.Object({
  format: Type.Optional(Type.Union([plainText, anyJson,
    Type.Object({ type: Type.Literal('json_schema'), ...jsonSchema.properties }, { additionalProperties: false })])),
  verbosity: Type.Optional(Type.Union([Type.Enum(['low', 'medium', 'high']), Type.Null()]))
}, { additionalProperties: false })

/**
 * What `text` of a response holds its answer to.
 * @returns the format as responses tell it, and its grammar, null where anything may be written
 * @throws RequestError naming the field, the rule and the value
 */
export function textFormatOf (text: unknown): { readonly format: object, readonly grammar: GrammarRequest | null } {
  const { format = { type: 'text' }, verbosity, ...others } = (text ?? {}) as Fields
  checkNames({ ...others }, ['format', 'verbosity'], 'text')
  if (verbosity !== undefined && verbosity !== null && !['low', 'medium', 'high'].includes(verbosity as string)) {
    throw refuse('text.verbosity', 'must be one of low, medium, high', verbosity)
  }
  if (!isObject(format)) throw refuse('text.format', 'must be an object with type', format)
  const { type, ...schema } = format
  const nested = type === 'json_schema' ? { type, json_schema: schema } : format
  return { format, grammar: grammarOf(nested, 'text.format', 'text.format') }
}

/**
 * What a `response_format` holds an answer to; null where anything may be written.
 * @param path what the caller calls it
 * @param schemaPath what the caller calls the schema with its name
 * @throws RequestError naming the field, the rule and the value
 */
export function grammarOf (format: unknown, path: string, schemaPath = `${path}.json_schema`): GrammarRequest | null {
  if (format === null || format === undefined) return null
  const fields = format as Fields
  const { type } = fields
  if (type !== 'text' && type !== 'json_object' &&
      type !== 'json_schema') throw refuse(`${path}.type`, 'must be one of text, json_object, json_schema', type)
  checkNames(fields, type === 'json_schema' ? ['type', 'json_schema'] : ['type'], path)
  if (type === 'text') return null
  return {
    text: type === 'json_object' ? objectGrammar() : namedSchemaGrammar(fields['json_schema'], schemaPath), param: path
  }
}
