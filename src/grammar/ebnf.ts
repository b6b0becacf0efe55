/**
 * Grammars as rules over characters, in the notation the matcher reads. Knows no JSON and no tokens. Within a rule,
 * options must differ in their first character, or be rules themselves: where they do not, the matcher (0.1.27) at
 * times takes texts that none of them accepts.
 */

export type Expression =
  | { readonly kind: 'text', readonly text: string }
  /** One character of a class, written as between brackets: `a-z`, `^"\\`. */
  | { readonly kind: 'class', readonly characters: string }
  | { readonly kind: 'sequence', readonly parts: readonly Expression[] }
  /** No options match nothing. */
  | { readonly kind: 'choice', readonly options: readonly Expression[] }
  /** @property max null is no limit */
  | { readonly kind: 'repeat', readonly of: Expression, readonly min: number, readonly max: number | null }
  | { readonly kind: 'rule', readonly name: string }

/** A text as it stands. */
export const text = (literal: string): Expression => ({ kind: 'text', text: literal })
/** One character of a class. @param characters as between brackets: `a-z`, `^"\\` */
export const oneOf = (characters: string): Expression => ({ kind: 'class', characters })
/** One after the other; of nothing, the empty text. */
export const sequence = (...parts: readonly Expression[]): Expression => ({ kind: 'sequence', parts })
/** Any one of several; of none, nothing at all. */
export const choice = (...options: readonly Expression[]): Expression =>
  options.length === 1 ? options[0]! : { kind: 'choice', options }
/** So many times. @param max null is no limit */
export const repeat = (
  of: Expression, min: number, max: number | null
): Expression => ({ kind: 'repeat', of, min, max })
/** Once or not at all. */
export const optional = (of: Expression): Expression => choice(text(''), of)

const codeOf = (character: string): number => character.codePointAt(0)!

/** Control characters and everything beyond ASCII as escapes, quotes and backslashes too. */
function quoted (literal: string): string {
  const escaped = Array.from(literal, character => {
    const code = codeOf(character)
    if (character === '"' || character === '\\') return `\\${character}`
    if (code >= 32 && code < 127) return character
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
  })
  return `"${escaped.join('')}"`
}

function print (expression: Expression): string {
  switch (expression.kind) {
    case 'text': return quoted(expression.text)
    case 'class': return `[${expression.characters}]`
    case 'rule': return expression.name
    case 'sequence': return expression.parts.length === 0
      ? '""'
      : expression.parts.map(part => part.kind === 'choice' ? `(${print(part)})` : print(part)).join(' ')
    case 'choice': return expression.options.map(print).join(' | ')
    case 'repeat': {
      const { min, max } = expression
      const count = max === null ? (min === 0 ? '*' : min === 1 ? '+' : `{${min},}`) : `{${min},${max}}`
      return `(${print(expression.of)})${count}`
    }
  }
}

/** Limits of one grammar: beyond them it could not be compiled in time. */
export const grammarLimits = { rules: 8192, characters: 2_000_000 } as const

/** A grammar of more rules or characters than can be compiled. */
export class GrammarTooLarge extends Error {
  /** How many there were when it was given up. */
  readonly count: number

  constructor (what: keyof typeof grammarLimits, count: number) {
    super(`needs a grammar of more than ${grammarLimits[what]} ${what}`)
    this.name = 'GrammarTooLarge'
    this.count = count
  }
}

/** About how many characters an expression is printed with. */
function lengthOf (expression: Expression): number {
  switch (expression.kind) {
    case 'text': return expression.text.length + 3
    case 'class': return expression.characters.length + 3
    case 'rule': return expression.name.length + 1
    case 'sequence': return expression.parts.reduce((sum, part) => sum + lengthOf(part), 2)
    case 'choice': return expression.options.reduce((sum, option) => sum + lengthOf(option) + 2, 2)
    case 'repeat': return lengthOf(expression.of) + 8
  }
}

/** Calls back with the names of rules in an expression. */
function forEachRule (expression: Expression, see: (name: string) => void): void {
  switch (expression.kind) {
    case 'rule': return see(expression.name)
    case 'sequence': return expression.parts.forEach(part => { forEachRule(part, see) })
    case 'choice': return expression.options.forEach(option => { forEachRule(option, see) })
    case 'repeat': return forEachRule(expression.of, see)
    default:
  }
}

/** Whether a finite text matches, if it does each rule of some. */
function isFinite (expression: Expression, finite: ReadonlySet<string>): boolean {
  switch (expression.kind) {
    case 'sequence': return expression.parts.every(part => isFinite(part, finite))
    case 'choice': return expression.options.some(option => isFinite(option, finite))
    case 'repeat': return expression.min === 0 || isFinite(expression.of, finite)
    case 'rule': return finite.has(expression.name)
    default: return true
  }
}

/** Rules by name, each defined once. */
export class Rules {
  readonly #rules = new Map<string, Expression>()
  #characters = 0

  has (name: string): boolean { return this.#rules.has(name) }

  /**
   * A reference to a rule, which is made where there is none of this name yet. It may refer to itself.
   * @throws GrammarTooLarge
   */
  rule (name: string, make: () => Expression): Expression {
    if (!this.#rules.has(name)) {
      // While it is being made it can be referred to.
      this.#rules.set(name, choice())
      if (this.#rules.size > grammarLimits.rules) throw new GrammarTooLarge('rules', this.#rules.size)
      const rule = make()
      this.#rules.set(name, rule)
      this.#count(name.length + 6 + lengthOf(rule))
    }
    return { kind: 'rule', name }
  }

  /**
   * An expression as a rule of its own, so that it may begin like others, or stands for all the places where it is
   * used.
   */
  separate (expression: Expression): Expression { return this.rule(`part_${this.#rules.size}`, () => expression) }

  #count (characters: number): void {
    this.#characters += characters
    if (this.#characters > grammarLimits.characters) throw new GrammarTooLarge('characters', this.#characters)
  }

  /**
   * Which rules some finite text matches: each rule is looked at again only when one that it uses turns out to be so.
   * @returns tells it of expressions
   */
  finiteness (): (expression: Expression) => boolean {
    const users = new Map<string, string[]>()
    for (const [name, rule] of this.#rules) {
      forEachRule(rule, used => {
        const list = users.get(used)
        if (list) list.push(name)
        else users.set(used, [name])
      })
    }
    const finite = new Set<string>()
    const open = [...this.#rules.keys()]
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (finite.has(name) || !isFinite(this.#rules.get(name)!, finite)) continue
      finite.add(name)
      open.push(...users.get(name) ?? [])
    }
    return expression => isFinite(expression, finite)
  }

  /** The grammar's text, which begins at `root`. @throws GrammarTooLarge */
  print (root: Expression): string {
    this.#count(lengthOf(root))
    return [`root ::= ${print(root)}`, ...[...this.#rules].map(([name, rule]) => `${name} ::= ${print(rule)}`)]
      .join('\n')
  }
}
