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

/** One of some texts, as a prefix tree of characters, so that no two options begin alike. */
export function oneText (rules: Rules, texts: readonly string[]): Expression {
  const [first = ''] = texts
  if (texts.length <= 1) return text(first)
  const byFirst = new Map<string, Set<string>>()
  for (const one of texts) {
    if (one === '') continue
    const character = String.fromCodePoint(codeOf(one))
    byFirst.set(character, (byFirst.get(character) ?? new Set()).add(one.slice(character.length)))
  }
  const options = [...byFirst].map(([character, rests]) => {
    const rest = sequence(text(character), oneText(rules, [...rests]))
    // Characters beyond ASCII may begin with the same byte.
    return codeOf(character) < 128 ? rest : rules.separate(rest)
  })
  return choice(...(texts.includes('') ? [text('')] : []), ...options)
}

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

/** Rules by name, each defined once. */
export class Rules {
  readonly #rules = new Map<string, Expression>()

  has (name: string): boolean { return this.#rules.has(name) }

  /** A reference to a rule, which is made where there is none of this name yet. It may refer to itself. */
  rule (name: string, make: () => Expression): Expression {
    if (!this.#rules.has(name)) {
      // While it is being made it can be referred to.
      this.#rules.set(name, choice())
      this.#rules.set(name, make())
    }
    return { kind: 'rule', name }
  }

  /**
   * An expression as a rule of its own, so that it may begin like others, or stands for all the places where it is
   * used.
   */
  separate (expression: Expression): Expression { return this.rule(`part_${this.#rules.size}`, () => expression) }

  /** Whether some finite text matches. */
  matchesSomething (expression: Expression): boolean {
    const finite = new Set<string>()
    const matches = (one: Expression): boolean => {
      switch (one.kind) {
        case 'sequence': return one.parts.every(matches)
        case 'choice': return one.options.some(matches)
        case 'repeat': return one.min === 0 || matches(one.of)
        case 'rule': return finite.has(one.name)
        default: return true
      }
    }
    for (let before = -1; finite.size > before;) {
      before = finite.size
      for (const [name, rule] of this.#rules) if (matches(rule)) finite.add(name)
    }
    return matches(expression)
  }

  /** The grammar's text, which begins at `root`. */
  print (root: Expression): string {
    return [`root ::= ${print(root)}`, ...[...this.#rules].map(([name, rule]) => `${name} ::= ${print(rule)}`)]
      .join('\n')
  }
}
