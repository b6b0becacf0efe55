/** What an answer may be held to, as plain data, and the grammar of it, which the grammar thread writes. */
import { parseOrdered } from './ordered-json.js'
import type { CallForm } from '../models/tokenizer/tool-call-format.js'
import { schemaGrammar } from './json-schema-grammar.js'
import { callGrammar, type CallRules } from './tool-call-grammar.js'

/** A grammar as it is, a JSON Schema, or calls of functions. */
export type GrammarSource =
  | { readonly type: 'grammar', readonly text: string }
  | {
    readonly type: 'schema'
    /** Its JSON, keys in the order of the schema. */
    readonly json: string
    /** What the caller calls it, for errors. */
    readonly path: string
  }
  | { readonly type: 'calls', readonly rules: CallRules, readonly form: CallForm }

/** The grammar's text. @throws RequestError for a schema that cannot be enforced */
export function grammarText (source: GrammarSource): string {
  switch (source.type) {
    case 'grammar': return source.text
    case 'schema': return schemaGrammar(parseOrdered(source.json), source.path)
    case 'calls': return callGrammar(source.rules, source.form)
  }
}

/** A text that no other source has. */
export function keyOf (source: GrammarSource): string {
  switch (source.type) {
    case 'grammar': return `grammar ${source.text}`
    case 'schema': return `schema ${source.path} ${source.json}`
    case 'calls': return `calls ${JSON.stringify(source)}`
  }
}
