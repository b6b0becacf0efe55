/**
 * Grammars of calls of functions in an answer's text. The form is that of Hermes, Qwen and SmolLM models:
 * `<tool_call>\n{"name": NAME, "arguments": OBJECT}\n</tool_call>`. Knows no requests.
 */
import { choice, oneOf, repeat, Rules, sequence, text, type Expression } from './ebnf.js'
import { anyObject, beyondAscii } from './json-text.js'
import { schemaExpression } from './json-schema.js'

/** What stands before a call. */
export const callBegins = '<tool_call>'
/** What stands behind it. */
export const callEnds = '</tool_call>'

/** A function that may be called. */
export interface CallableFunction {
  readonly name: string
  /** JSON Schema of its arguments' object; null where it takes none. */
  readonly parameters: object | null
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
  /** Whether there may be several calls. */
  readonly mayRepeat: boolean
}

function argumentsOf (rules: Rules, { parameters, strict, path }: CallableFunction, index: number): Expression {
  if (parameters === null) return text('{}')
  try {
    // Tried apart, since what is refused has begun rules that mean nothing.
    schemaExpression(new Rules(), parameters, path, '')
  } catch (error) {
    if (strict) throw error
    return anyObject(rules)
  }
  return schemaExpression(rules, parameters, path, `function_${index}`)
}

/** Text without `callBegins`, then perhaps what follows it: a rule for each number of its characters that were just read. */
function textThen (rules: Rules, after: Expression, read = 0): Expression {
  return rules.rule(`text_${read}`, () => {
    const next = callBegins[read]!
    const others = next === '<' ? '\\x00-\\x3b\\x3d-\\x7f' : exceptAscii(['<', next])
    const matched = read + 1 === callBegins.length ? sequence(text(next), after) : sequence(text(next), textThen(rules, after, read + 1))
    return choice(
      text(''),
      matched,
      // It has "<" at its beginning only: where another comes, it may begin anew there.
      ...(next === '<' ? [] : [sequence(text('<'), textThen(rules, after, 1))]),
      sequence(oneOf(others), textThen(rules, after)),
      sequence(beyondAscii(rules), textThen(rules, after))
    )
  })
}

/** ASCII without some characters. */
function exceptAscii (characters: readonly string[]): string {
  const kept = Array.from({ length: 128 }, (_, code) => code).filter(code => !characters.includes(String.fromCharCode(code)))
  return kept.map(code => `\\x${code.toString(16).padStart(2, '0')}`).join('')
}

/**
 * The grammar of an answer that may, or must, call functions.
 * @throws RequestError for parameters of a strict function that cannot be enforced
 */
export function callGrammar ({ functions, mayBeText, mayRepeat }: CallRules): string {
  const rules = new Rules()
  const calls = functions.map((one, index) => rules.separate(sequence(text(`${one.name}", "arguments": `), argumentsOf(rules, one, index))))
  const rest = rules.rule('call', () => sequence(text('\n{"name": "'), choice(...calls), text(`}\n${callEnds}`)))
  const more = mayRepeat ? repeat(sequence(text(`\n${callBegins}`), rest), 0, null) : text('')
  const after = sequence(rest, more)
  return rules.print(mayBeText ? textThen(rules, after) : sequence(text(callBegins), after))
}
