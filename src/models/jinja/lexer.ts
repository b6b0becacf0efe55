/**
 * A template's source → tokens, as jinja2 cuts it with trim_blocks and lstrip_blocks: line ends become line feeds, one
 * at the end is dropped, and so is the one behind a tag; blanks before a tag that begins a line are dropped, too.
 */

/** What a token is; `data` is text between tags. */
export type TokenType = 'data' | 'name' | 'string' | 'integer' | 'float' | 'operator' | 'variable_begin' |
  'variable_end' | 'block_begin' | 'block_end' | 'end'

export interface Token { readonly type: TokenType, readonly value: string, readonly line: number }

/** A template that cannot be read, or rendered: what is wrong, for its operator. */
export class TemplateError extends Error {}

/** Python's whitespace, in character classes. */
export const pythonSpace = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const [space, spaces, trailing] =
  [new RegExp(`[${pythonSpace}]*`, 'y'), new RegExp(`^[${pythonSpace}]*$`), new RegExp(`[${pythonSpace}]+$`)]

const word = /[\p{L}\p{Nl}\p{M}\p{Nd}\p{Pc}]+/uy
const identifier = /^[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{M}\p{Nd}\p{Pc}]*$/u
const float = /\d(?:_?\d)*(?:(?:\.\d(?:_?\d)*)?e[+-]?\d(?:_?\d)*|\.\d(?:_?\d)*)/iy
const integer = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy
const quoted = /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y
const operators = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y
const rawBegin = new RegExp(`\\{%[-+]?[${pythonSpace}]*raw[${pythonSpace}]*(-?)%\\}`, 'y')
const rawEnd = new RegExp(`\\{%([-+]?)[${pythonSpace}]*endraw[${pythonSpace}]*([-+]?)%\\}`, 'g')

const simpleEscapes: Readonly<Record<string, string>> = {
  '\n': '', '\\': '\\', '\'': '\'', '"': '"', a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v'
}

/** The text of a string literal, between its quotes, as Python reads it. */
function unescape (text: string, line: number): string {
  return text.replaceAll(/\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([\s\S]))/g,
    (whole: string, octal?: string, byte?: string, unit?: string, point?: string, other?: string) => {
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
      const hex = byte ?? unit ?? point
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
      if ('xuUN'.includes(other!)) throw new TemplateError(`line ${line}: escape ${whole} is not supported`)
      return simpleEscapes[other!] ?? whole
    })
}

class Lexer {
  readonly #source: string
  readonly #tokens: Token[] = []
  #at = 0
  #line = 1
  /** Whether what was read last ended a line. */
  #startsLine = true

  constructor (source: string) {
    this.#source = source.replaceAll(/\r\n?/g, '\n').replace(/\n$/, '')
  }

  #push (type: TokenType, value: string): void { this.#tokens.push({ type, value, line: this.#line }) }

  #fail (why: string): never { throw new TemplateError(`line ${this.#line}: ${why}`) }

  /** Goes on to a place. */
  #goTo (at: number): void {
    for (let index = this.#at; index < at; index++) if (this.#source[index] === '\n') this.#line++
    if (at > this.#at) this.#startsLine = this.#source[at - 1] === '\n'
    this.#at = at
  }

  #match (pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#source)
  }

  #skipSpace (): void {
    this.#goTo(this.#at + this.#match(space)![0].length)
  }

  /** Text before a tag, with what the tag strips off it. */
  #data (end: number, sign: string, isVariable: boolean): void {
    let text = this.#source.slice(this.#at, end)
    if (sign === '-') text = text.replace(trailing, '')
    else if (sign !== '+' && !isVariable) {
      const line = text.lastIndexOf('\n') + 1
      if ((line > 0 || this.#startsLine) && spaces.test(text.slice(line))) text = text.slice(0, line)
    }
    if (text !== '') this.#push('data', text)
  }

  /** Behind the end of a tag: what it strips. */
  #closed (sign: string, isVariable: boolean): void {
    if (sign === '-') this.#skipSpace()
    else if (sign !== '+' && !isVariable && this.#source[this.#at] === '\n') this.#goTo(this.#at + 1)
  }

  #comment (start: number): void {
    const end = this.#source.indexOf('#}', start + 2)
    if (end < 0) this.#fail('a comment has no end')
    const sign = end > start + 2 ? this.#source[end - 1]! : ''
    this.#goTo(end + 2)
    this.#closed(sign === '-' || sign === '+' ? sign : '', false)
  }

  #raw (begin: RegExpExecArray): void {
    this.#goTo(this.#at + begin[0].length)
    if (begin[1] === '-') this.#skipSpace()
    rawEnd.lastIndex = this.#at
    const end = rawEnd.exec(this.#source)
    if (!end) this.#fail('a raw block has no end')
    this.#data(end.index, end[1]!, false)
    this.#goTo(end.index + end[0].length)
    this.#closed(end[2]!, false)
  }

  /** One token within a tag. */
  #inner (depth: string[]): void {
    const number = this.#match(float) ?? this.#match(integer)
    if (number) {
      const type = /^0[box]/i.test(number[0]) || !/[.e]/i.test(number[0]) ? 'integer' : 'float'
      this.#push(type, number[0].replaceAll('_', ''))
      return this.#goTo(this.#at + number[0].length)
    }
    const name = this.#match(word)
    if (name) {
      if (!identifier.test(name[0])) this.#fail(`${JSON.stringify(name[0])} is no name`)
      this.#push('name', name[0])
      return this.#goTo(this.#at + name[0].length)
    }
    const text = this.#match(quoted)
    if (text) {
      this.#push('string', unescape(text[0].slice(1, -1), this.#line))
      return this.#goTo(this.#at + text[0].length)
    }
    const operator = this.#match(operators)?.[0]
    if (operator === undefined) this.#fail(`unexpected ${JSON.stringify(this.#source[this.#at] ?? 'end')}`)
    if ('([{'.includes(operator)) depth.push({ '(': ')', '[': ']', '{': '}' }[operator]!)
    else if (')]}'.includes(operator) && depth.pop() !== operator) this.#fail(`unexpected ${operator}`)
    this.#push('operator', operator)
    this.#goTo(this.#at + operator.length)
  }

  #tag (isVariable: boolean): void {
    const [close, type] = isVariable ? ['}}', 'variable_end'] as const : ['%}', 'block_end'] as const
    const depth: string[] = []
    for (;;) {
      this.#skipSpace()
      const sign = /[-+]/.test(this.#source[this.#at] ?? '') ? this.#source[this.#at]! : ''
      if (depth.length === 0 && this.#source.startsWith(sign + close, this.#at) && !(isVariable && sign === '+')) {
        this.#push(type, close)
        this.#goTo(this.#at + sign.length + 2)
        return this.#closed(sign, isVariable)
      }
      if (this.#at >= this.#source.length) this.#fail(`a tag has no ${close}`)
      this.#inner(depth)
    }
  }

  /** Reads up to, and with, the next tag. @returns whether there was one */
  #next (): boolean {
    const rest = /\{[%{#]/g
    rest.lastIndex = this.#at
    const found = rest.exec(this.#source)
    if (!found) {
      if (this.#at < this.#source.length) this.#push('data', this.#source.slice(this.#at))
      return false
    }
    const [start, kind] = [found.index, found[0][1]!]
    const sign = /[-+]/.test(this.#source[start + 2] ?? '') ? this.#source[start + 2]! : ''
    this.#data(start, sign, kind === '{')
    this.#goTo(start)
    const raw = kind === '%' ? this.#match(rawBegin) : null
    if (kind === '#') this.#comment(start)
    else if (raw) this.#raw(raw)
    else {
      this.#push(kind === '{' ? 'variable_begin' : 'block_begin', found[0])
      this.#goTo(start + 2 + sign.length)
      this.#tag(kind === '{')
    }
    return true
  }

  run (): Token[] {
    while (this.#next());
    this.#push('end', '')
    return this.#tokens
  }
}

/** @throws TemplateError that names the line */
export const tokenize = (source: string): Token[] => new Lexer(source).run()
