/** `response_format`: what an answer is held to, and the grammar that holds it. */
import { Type } from 'typebox'
import { objectGrammar, schemaGrammar } from '../../grammar/json-schema.js'
import type { GrammarRequest } from '../../inference/protocol.js'
import { refuse } from '../../validation.js'

const jsonSchema = Type.Object({
  name: Type.String({ description: '1 to 64 letters, digits, _ or -' }),
  description: Type.Optional(Type.String()),
  schema: Type.Optional(Type.Object({})),
  strict: Type.Optional(Type.Union([Type.Boolean(), Type.Null()], { description: 'without effect: the answer is held to the schema either way' }))
}, { additionalProperties: false })

export const responseFormatSchema = Type.Union([
  Type.Object({ type: Type.Literal('text') }),
  Type.Object({ type: Type.Literal('json_object') }),
  Type.Object({ type: Type.Literal('json_schema'), json_schema: jsonSchema })
])

type Fields = Readonly<Record<string, unknown>>

function checkNames (fields: Fields, names: readonly string[], path: string): void {
  const unknown = Object.keys(fields).find(name => !names.includes(name))
  if (unknown !== undefined) throw refuse(`${path}.${unknown}`, `is not a field; there are ${names.join(', ')}`, fields[unknown])
}

/**
 * The grammar of a named JSON Schema.
 * @param fields name, description, schema, strict
 * @param path what the caller calls them
 * @throws RequestError naming the field, the rule and the value
 */
export function namedSchemaGrammar (fields: unknown, path: string): string {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw refuse(path, 'must be an object with name and schema', fields)
  checkNames(fields as Fields, ['name', 'description', 'schema', 'strict'], path)
  const { name, description, schema, strict } = fields as Fields
  if (typeof name !== 'string' || !/^[\w-]{1,64}$/.test(name)) throw refuse(`${path}.name`, 'must be 1 to 64 letters, digits, _ or -', name)
  if (description !== undefined && description !== null && typeof description !== 'string') throw refuse(`${path}.description`, 'must be a text', description)
  if (strict !== undefined && strict !== null && typeof strict !== 'boolean') throw refuse(`${path}.strict`, 'must be true or false', strict)
  return schema === undefined || schema === null ? objectGrammar() : schemaGrammar(schema, `${path}.schema`)
}

/**
 * What a `response_format` holds an answer to; null where anything may be written.
 * @param path what the caller calls it
 * @throws RequestError naming the field, the rule and the value
 */
export function grammarOf (format: unknown, path: string): GrammarRequest | null {
  if (format === null || format === undefined) return null
  const fields = format as Fields
  const { type } = fields
  if (type !== 'text' && type !== 'json_object' && type !== 'json_schema') throw refuse(`${path}.type`, 'must be one of text, json_object, json_schema', type)
  checkNames(fields, type === 'json_schema' ? ['type', 'json_schema'] : ['type'], path)
  if (type === 'text') return null
  return { text: type === 'json_object' ? objectGrammar() : namedSchemaGrammar(fields['json_schema'], `${path}.json_schema`), param: path }
}
