/**
 * Patterns that others write: of rules, schemas and model files. They are ECMAScript's, matched by RE2, which cannot
 * backtrack: time grows with the text, never with its power. What RE2 cannot do, and what other languages spell
 * differently, is refused by name and position. The one place that knows the engine.
 */
import { RE2JS } from 're2js'

/** Instructions of a compiled pattern, at most; each may be tried at every character. */
const maxProgram = 5000

/** What is wrong with a pattern, in words that follow "must be a pattern that RE2 can match". */
export class PatternError extends Error {}

/** A compiled pattern. */
export interface Pattern {
  /** Whether it matches somewhere in a text. */
  test (text: string): boolean
}

/** White space and line ends are ECMAScript's, which are more than RE2's. */
const space = String.raw`\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}`
const notSpace = String.raw`\x{0}-\x{8}\x{e}-\x{1f}!-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}` +
  String.raw`\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}`
const dot = String.raw`[^\n\r\x{2028}\x{2029}]`

/** Long names of general categories, by the short ones that RE2 has. */
const categories: Readonly<Record<string, string>> = {
  Letter: 'L',
  Uppercase_Letter: 'Lu',
  Lowercase_Letter: 'Ll',
  Titlecase_Letter: 'Lt',
  Modifier_Letter: 'Lm',
  Other_Letter: 'Lo',
  Mark: 'M',
  Nonspacing_Mark: 'Mn',
  Spacing_Mark: 'Mc',
  Enclosing_Mark: 'Me',
  Number: 'N',
  Decimal_Number: 'Nd',
  Letter_Number: 'Nl',
  Other_Number: 'No',
  Punctuation: 'P',
  Symbol: 'S',
  Math_Symbol: 'Sm',
  Currency_Symbol: 'Sc',
  Separator: 'Z',
  Space_Separator: 'Zs',
  Other: 'C',
  Control: 'Cc'
}

/** Escapes that mean the same to both; `\A` and `\z`, begin and end of the text, are RE2's own. */
const shared = /^[dDwWtnrfv]/
const outsideClass = /^[bBAz]/

/** A code point by its number: `u{…}`, two surrogates, `uXXXX`, `xXX`. */
const codeEscape =
  /^(?:u\{([\da-f]{1,6})\}|u(d[89ab][\da-f]{2})\\u(d[c-f][\da-f]{2})|u([\da-f]{4})|x([\da-f]{2}))/i

/** What groups begin with that is refused, and what it is called. */
const refusedGroups: ReadonlyArray<readonly [start: RegExp, name: string]> = [
  [/^\(\?<?[=!]/, 'look-arounds are not supported'],
  [/^\(\?>/, 'atomic groups are not supported (nothing is ever tried twice)'],
  [/^\(\?P=/, 'backreferences are not supported'],
  [/^\(\?#/, 'comments are not supported'],
  [/^\(\?\(/, 'conditionals are not supported'],
  [/^\(\?(?!:|P?<[A-Za-z_])/, 'flags inside a pattern are not supported; they are a field of their own']
]

/** Writes a pattern for RE2, from left to right. */
class Translation {
  readonly #pattern: string
  readonly #dotAll: boolean
  #at = 0
  #out = ''

  constructor (pattern: string, dotAll: boolean) {
    this.#pattern = pattern
    this.#dotAll = dotAll
  }

  /** What is read next, as far as anything looks. */
  get #rest (): string { return this.#pattern.slice(this.#at, this.#at + 16) }

  #refuse (problem: string, length = 2): PatternError {
    return new PatternError(`${problem}: ${this.#rest.slice(0, length)} at position ${this.#at}`)
  }

  /** @param length characters of the pattern that are read */
  #write (text: string, length: number): void {
    this.#out += text
    this.#at += length
  }

  translate (): string {
    while (this.#at < this.#pattern.length) {
      const character = this.#pattern[this.#at]!
      if (character === '\\') this.#escape(false)
      else if (character === '[') this.#class()
      else if (character === '(') this.#group()
      else if (character === '.') this.#write(this.#dotAll ? '.' : dot, 1)
      else if (character === '{') this.#brace()
      else this.#write(character, 1)
    }
    return this.#out
  }

  #group (): void {
    const refused = refusedGroups.find(([start]) => start.test(this.#rest))
    if (refused) throw this.#refuse(refused[1], 4)
    this.#write('(', 1)
  }

  /** `{,3}` is 0 to 3 to some and a text to others. */
  #brace (): void {
    if (/^\{,\d+\}/.test(this.#rest)) throw this.#refuse('a repetition must name its least count, as in {0,3}', 5)
    this.#write('{', 1)
  }

  #class (): void {
    const rest = this.#rest
    if (rest.startsWith('[^]')) return this.#write(String.raw`[\x{0}-\x{10ffff}]`, 3)
    if (rest.startsWith('[]')) throw this.#refuse('an empty class matches nothing')
    const opening = rest.startsWith('[^') ? '[^' : '['
    this.#write(opening, opening.length)
    while (this.#at < this.#pattern.length && this.#pattern[this.#at] !== ']') {
      if (this.#pattern[this.#at] === '\\') this.#escape(true)
      else if (this.#pattern.startsWith('[:', this.#at)) throw this.#refuse('POSIX classes are not supported')
      else this.#write(this.#pattern[this.#at] === '[' ? '\\[' : this.#pattern[this.#at]!, 1)
    }
    this.#write(']', 1)
  }

  #escape (inClass: boolean): void {
    const after = this.#pattern.slice(this.#at + 1, this.#at + 64)
    const code = codeEscape.exec(after)
    if (code) return this.#write(codePoint(code), 1 + code[0].length)
    const property = /^([pP])\{(?:(General_Category|gc|Script|sc)=)?([\w]+)\}/.exec(after)
    if (property) {
      return this.#write(`\\${property[1]}{${categories[property[3]!] ?? property[3]}}`, 1 + property[0].length)
    }
    const control = /^c([A-Za-z])/.exec(after)
    if (control) return this.#write(`\\x{${(control[1]!.charCodeAt(0) & 31).toString(16)}}`, 3)
    if (/^0(?!\d)/.test(after)) return this.#write('\\x{0}', 2)
    if (after.startsWith('s')) return this.#write(inClass ? space : `[${space}]`, 2)
    if (after.startsWith('S')) return this.#write(inClass ? notSpace : `[${notSpace}]`, 2)
    if (inClass && after.startsWith('b')) return this.#write('\\x{8}', 2)
    if (shared.test(after) || (!inClass && outsideClass.test(after))) return this.#write(`\\${after[0]}`, 2)
    if (/^[^\w\s]/.test(after) && after.codePointAt(0)! < 128) return this.#write(`\\${after[0]}`, 2)
    if (/^[^\w]/.test(after)) return this.#write(after[0]!, 2)
    throw this.#refused(after)
  }

  #refused (after: string): PatternError {
    if (/^(?:[1-9]|k)/.test(after)) return this.#refuse('backreferences are not supported')
    if (after.startsWith('Z')) return this.#refuse(String.raw`the end of the text is written \z or $, not`)
    return this.#refuse('there is no such escape')
  }
}

/** A code point in RE2's spelling. */
function codePoint ([, braces, high, low, four, two]: RegExpExecArray): string {
  const pair = high !== undefined &&
    String.fromCharCode(Number.parseInt(high, 16), Number.parseInt(low!, 16)).codePointAt(0)!.toString(16)
  return `\\x{${pair || (braces ?? four ?? two)!}}`
}

function flagsOf (flags: string): number {
  const bits = { i: RE2JS.CASE_INSENSITIVE, m: RE2JS.MULTILINE, s: RE2JS.DOTALL } as const
  return Object.entries(bits).reduce((sum, [flag, bit]) => flags.includes(flag) ? sum | bit : sum, 0)
}

/**
 * Compiles a pattern.
 * @param flags any of i, m, s; u, which is always on
 * @throws PatternError
 */
export function compilePattern (pattern: string, flags = ''): Pattern {
  const translated = new Translation(pattern, flags.includes('s')).translate()
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(translated, flagsOf(flags))
  } catch (error) {
    throw new PatternError((error as Error).message.replace(/^error parsing regexp: /, ''), { cause: error })
  }
  if (compiled.programSize() > maxProgram) {
    throw new PatternError(`it takes more than ${maxProgram} steps: ${compiled.programSize()}`)
  }
  return { test: text => compiled.test(text) }
}
