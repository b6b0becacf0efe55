/** The rule that a whole answer is JSON, and JSON that a schema accepts. */
import { createRequire } from 'node:module'
import { Type } from 'typebox'
import { refuse } from '../../../validation.js'
import { rulePattern } from './regex.js'
import { defineRule } from './rule.js'

const load = createRequire(import.meta.url)

/** Patterns inside a schema are matched as the regex rule's are. Ajv tells them apart by their text. */
const schemaPattern = Object.assign(
  (pattern: string, flags: string) => ({ ...rulePattern(pattern, flags), toString: () => `/${pattern}/${flags}` }),
  { code: 'schemaPattern' })

function compileSchema (schema: object): (value: unknown) => boolean {
  const { Ajv2020 } = load('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')
  try {
    // A validator of its own for each descriptor: schemas with equal $id do not meet. Strict: a keyword or format
    // nobody knows is a mistake.
    return new Ajv2020({ strict: true, allErrors: false, code: { regExp: schemaPattern } }).compile(schema)
  } catch (error) {
    throw refuse('schema', `must be a JSON Schema (2020-12) without unknown keywords (${(error as Error).message})`,
      schema)
  }
}

/**
 * 1 where the whole answer, white space around it aside, is JSON that the schema accepts; else 0. A prefix of JSON is
 * no JSON, so there is no prefix member.
 */
export const jsonSchema = defineRule({
  fields: { schema: Type.Object({}) },
  members: ['outcome'],
  compile ({ schema }) {
    const accepts = compileSchema(schema)
    return ({ text }) => {
      let value: unknown
      try {
        value = JSON.parse(text)
      } catch {
        return 0
      }
      return accepts(value) ? 1 : 0
    }
  },
  // What begins with anything but a value's first character never becomes JSON.
  compileCeiling: () => text => /^[ \t\n\r]*(?:$|[{["\-\dtfn])/.test(text) ? 1 : 0
})
