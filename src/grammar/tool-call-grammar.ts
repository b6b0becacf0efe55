/** Grammars of calls of functions in an answer's text, in the form that the model writes them in. Knows no requests. */
import { parseOrdered } from './ordered-json.js'
import type { CallForm } from '../models/tokenizer/tool-call-format.js'
import { choice, oneOf, repeat, Rules, sequence, text, type Expression } from './ebnf.js'
import { anyObject, beyondAscii } from './json-text.js'
import { refusingTooLarge, schemaExpression } from './json-schema-grammar.js'

/** A function that may be called. */
export interface CallableFunction {
  readonly name: string
  /** JSON Schema of its arguments' object, as JSON; null where it takes none. */
  readonly parameters: string | null
  /** Whether a schema that cannot be enforced is an error; else any object will do in its place. */
  readonly strict: boolean
  /** What the caller calls the schema, for errors. */
  readonly path: string
}

/** What an answer may consist of. */
export interface CallRules {
  readonly functions: readonly CallableFunction[]
  /** Whether it may be text, or begin with text. */
  readonly mayBeText: boolean
  /** Whether there may be several calls, if the form has room for them. */
  readonly mayRepeat: boolean
}

function argumentsOf (rules: Rules, { parameters, strict, path }: CallableFunction, index: number): Expression {
  if (parameters === null) return text('{}')
  const schema = parseOrdered(parameters)
  try {
    // Tried apart, since what is refused has begun rules that mean nothing.
    schemaExpression(new Rules(), schema, path, '')
  } catch (error) {
    if (strict) throw error
    return anyObject(rules)
  }
  return schemaExpression(rules, schema, path, `function_${index}`)
}

/**
 * Text without a marker, then perhaps what follows it: a rule for each number of its characters that were just read.
 * @param marker whose first character it has at its beginning only
 */
function textThen (rules: Rules, marker: string, after: Expression, read = 0): Expression {
  return rules.rule(`text_${read}`, () => {
    const [first, next] = [marker[0]!, marker[read]!]
    const matched = read + 1 === marker.length
      ? sequence(text(next), after)
      : sequence(text(next), textThen(rules, marker, after, read + 1))
    return choice(
      text(''),
      matched,
      // Where the first character comes again, it may begin anew there.
      ...(read === 0 ? [] : [sequence(text(first), textThen(rules, marker, after, 1))]),
      sequence(oneOf(exceptAscii([first, next])), textThen(rules, marker, after)),
      sequence(beyondAscii(rules), textThen(rules, marker, after))
    )
  })
}

/** Text that does not begin with a character, or what begins with it. */
function textOr (rules: Rules, first: string, after: Expression): Expression {
  const anything: Expression = rules.rule('text', () =>
    choice(text(''), sequence(choice(oneOf('\\x00-\\x7f'), beyondAscii(rules)), { kind: 'rule', name: 'text' })))
  return choice(text(''), sequence(text(first), after), sequence(oneOf(exceptAscii([first])), anything),
    sequence(beyondAscii(rules), anything))
}

/** ASCII without some characters. */
function exceptAscii (characters: readonly string[]): string {
  const kept = Array.from({ length: 128 }, (_, code) => code)
    .filter(code => !characters.includes(String.fromCharCode(code)))
  return kept.map(code => `\\x${code.toString(16).padStart(2, '0')}`).join('')
}

/**
 * The grammar of an answer that may, or must, call functions.
 * @throws RequestError for parameters of a strict function that cannot be enforced
 */
export function callGrammar (callRules: CallRules, form: CallForm): string {
  return refusingTooLarge('tools', () => callText(callRules, form))
}

function callText (
  { functions, mayBeText, mayRepeat }: CallRules, { begins, isAnywhere, beforeName, afterName, ends }: CallForm
): string {
  const rules = new Rules()
  const calls = functions.map((one, index) =>
    rules.separate(sequence(text(`${one.name}${afterName}`), argumentsOf(rules, one, index))))
  const rest = rules.rule('call', () => sequence(text(beforeName), choice(...calls), text(ends)))
  const more = mayRepeat && isAnywhere ? repeat(sequence(text(`\n${begins}`), rest), 0, null) : text('')
  const after = sequence(rest, more)
  if (!mayBeText) return rules.print(sequence(text(begins), after))
  return rules.print(isAnywhere ? textThen(rules, begins, after) : textOr(rules, begins, after))
}
