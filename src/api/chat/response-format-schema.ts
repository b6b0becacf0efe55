/** `response_format`: what an answer is held to, and the grammar that holds it. */
import { Type, type Static } from 'typebox'
import { anyObject, kinds, unsupported } from '../../checker.js'
import type { GrammarSource } from '../../grammar/grammar-source.js'
import { objectGrammar } from '../../grammar/json-schema-grammar.js'
import type { GrammarRequest } from '../../serving/protocol.js'
import { schemaText } from '../schemas/schema-text.js'

/** A name of a schema or a function. */
export const plainName = Type.String({ pattern: '^[\\w-]{1,64}$', description: '1 to 64 letters, digits, _ or -' })

const jsonSchema = {
  name: plainName,
  description: Type.Optional(Type.String()),
  schema: Type.Optional(anyObject()),
  strict: Type.Optional(Type.Boolean({
    description: 'without effect: the answer is held to the schema either way'
  }))
}

const plainText = Type.Object({ type: Type.Literal('text') })
const anyJson = Type.Object({
  type: Type.Literal('json_object'), schema: unsupported('say type: "json_schema", with name and schema')
})

export const responseFormatSchema = kinds('type',
  [plainText, anyJson, Type.Object({ type: Type.Literal('json_schema'), json_schema: Type.Object(jsonSchema) })])

/** `text` of responses: the same with its fields side by side. */
export const textSchema = Type.Object({
  format: Type.Optional(kinds('type',
    [plainText, anyJson, Type.Object({ type: Type.Literal('json_schema'), ...jsonSchema })])),
  verbosity: Type.Optional(Type.Enum(['low', 'medium', 'high']))
})

interface NamedSchema { readonly schema?: Readonly<Record<string, unknown>> }

const anyObjectSource = (): GrammarSource => ({ type: 'grammar', text: objectGrammar() })

/** @param path of the named schema */
const sourceOf = ({ schema }: NamedSchema, path: string): GrammarSource => schema === undefined
  ? anyObjectSource()
  : { type: 'schema', json: schemaText(schema), path: `${path}.schema` }

/**
 * What `text` of a response holds its answer to.
 * @returns the format as responses tell it, and its grammar, null where anything may be written
 */
export function textFormatOf (
  text: Static<typeof textSchema> | null
): { readonly format: object, readonly grammar: GrammarRequest | null } {
  const format = text?.format ?? { type: 'text' }
  if (format.type === 'text') return { format, grammar: null }
  const source = format.type === 'json_object' ? anyObjectSource() : sourceOf(format, 'text.format')
  return { format, grammar: { source, param: 'text.format' } }
}

/** What a `response_format` holds an answer to; null where anything may be written. */
export function formatOf (
  { response_format: format }: { readonly response_format: Static<typeof responseFormatSchema> | null }
): GrammarRequest | null {
  if (!format || format.type === 'text') return null
  const source = format.type === 'json_object'
    ? anyObjectSource()
    : sourceOf(format.json_schema, 'response_format.json_schema')
  return { source, param: 'response_format' }
}
