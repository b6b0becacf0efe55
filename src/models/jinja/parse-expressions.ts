/** Tokens → expressions, by jinja2's precedence. */
import type { Arguments, Expression, Filter } from './ast.js'
import { TemplateError, type Token, type TokenType } from './lexer.js'

const comparisons: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>='])
/** Expressions may be nested so deep. */
const mostNested = 200

/** Reads expressions from a list of tokens. */
export class ExpressionParser {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor (tokens: readonly Token[]) { this.#tokens = tokens }

  get current (): Token { return this.#tokens[this.#at]! }

  fail (why: string): never { throw new TemplateError(`line ${this.current.line}: ${why}`) }

  next (): Token { return this.#tokens[this.#at++]! }

  is (type: TokenType, value?: string, ahead = 0): boolean {
    const token = this.#tokens[this.#at + ahead]
    return token?.type === type && (value === undefined || token.value === value)
  }

  isName (...names: readonly string[]): boolean { return this.is('name') && names.includes(this.current.value) }

  isOperator (...operators: readonly string[]): boolean {
    return this.is('operator') && operators.includes(this.current.value)
  }

  /** Takes the token where it is the one named. */
  skip (type: TokenType, value?: string): boolean {
    if (!this.is(type, value)) return false
    this.#at++
    return true
  }

  expect (type: TokenType, value?: string): Token {
    if (!this.is(type, value)) {
      this.fail(`expected ${value ?? type}, found ${JSON.stringify(this.current.value || this.current.type)}`)
    }
    return this.next()
  }

  expression (hasCondition = true): Expression {
    if (++this.#depth > mostNested) this.fail('the template is nested too deeply')
    const parsed = hasCondition ? this.#condition() : this.#or()
    this.#depth--
    return parsed
  }

  #condition (): Expression {
    let then = this.#or()
    while (this.skip('name', 'if')) {
      const test = this.#or()
      then = { kind: 'if', test, then, otherwise: this.skip('name', 'else') ? this.expression() : null }
    }
    return then
  }

  #or (): Expression {
    let left = this.#and()
    while (this.skip('name', 'or')) left = { kind: 'logical', operator: 'or', left, right: this.#and() }
    return left
  }

  #and (): Expression {
    let left = this.#not()
    while (this.skip('name', 'and')) left = { kind: 'logical', operator: 'and', left, right: this.#not() }
    return left
  }

  #not (): Expression {
    let count = 0
    while (this.skip('name', 'not')) count++
    let value = this.#compare()
    for (; count > 0; count--) value = { kind: 'unary', operator: 'not', of: value }
    return value
  }

  #compare (): Expression {
    const first = this.#binary(0)
    const others: Array<[string, Expression]> = []
    for (;;) {
      if (this.is('operator') && comparisons.has(this.current.value)) {
        others.push([this.next().value, this.#binary(0)])
      } else if (this.skip('name', 'in')) others.push(['in', this.#binary(0)])
      else if (this.is('name', 'not') && this.is('name', 'in', 1)) {
        this.#at += 2
        others.push(['not in', this.#binary(0)])
      } else return others.length === 0 ? first : { kind: 'compare', first, others }
    }
  }

  /** Sums, joined texts, products, powers: each binds closer than the one before. */
  #binary (level: number): Expression {
    const operators = [['+', '-'], ['~'], ['*', '/', '//', '%'], ['**']][level]
    if (!operators) return this.#unary()
    let left = this.#binary(level + 1)
    while (this.isOperator(...operators)) {
      const operator = this.next().value
      const right = this.#binary(level + 1)
      if (operator !== '~') left = { kind: 'binary', operator, left, right }
      else left = { kind: 'concat', parts: left.kind === 'concat' ? [...left.parts, right] : [left, right] }
    }
    return left
  }

  #unary (isFiltered = true): Expression {
    const sign = this.isOperator('-', '+') ? this.next().value : null
    const value = this.postfix(sign === null
      ? this.primary()
      : { kind: 'unary', operator: sign, of: this.#unary(false) })
    return isFiltered ? this.#filtered(value) : value
  }

  #constant (name: string): Expression | null {
    if (/^(?:true|false)$/i.test(name) && /^[TtFf][a-z]+$/.test(name)) {
      return { kind: 'constant', value: name.toLowerCase() === 'true' }
    }
    return name === 'none' || name === 'None' ? { kind: 'constant', value: null } : null
  }

  #number (): Expression {
    const { type, value } = this.next()
    if (type === 'float') return { kind: 'float', value: Number(value) }
    if (!Number.isSafeInteger(Number(value))) this.fail(`the number ${value} is too large`)
    return { kind: 'constant', value: Number(value) }
  }

  primary (): Expression {
    if (this.is('name')) {
      const name = this.next().value
      return this.#constant(name) ?? { kind: 'name', name }
    }
    if (this.is('string')) {
      let value = ''
      while (this.is('string')) value += this.next().value
      return { kind: 'constant', value }
    }
    if (this.is('integer') || this.is('float')) return this.#number()
    if (this.skip('operator', '(')) {
      const value = this.tuple(true)
      this.expect('operator', ')')
      return value
    }
    if (this.skip('operator', '[')) return { kind: 'list', items: this.#list(']', () => this.expression()) }
    if (this.skip('operator', '{')) {
      return {
        kind: 'dict',
        pairs: this.#list('}', () => {
          const key = this.expression()
          this.expect('operator', ':')
          return [key, this.expression()] as const
        })
      }
    }
    return this.fail(`unexpected ${JSON.stringify(this.current.value || this.current.type)}`)
  }

  #list<T> (close: string, item: () => T): T[] {
    const items: T[] = []
    while (!this.skip('operator', close)) {
      if (items.length > 0) {
        this.expect('operator', ',')
        if (this.skip('operator', close)) break
      }
      items.push(item())
    }
    return items
  }

  /** An expression, or several behind commas. @param inParentheses whether there may be none */
  tuple (inParentheses = false, hasCondition = true): Expression {
    const isEnd = (): boolean =>
      this.is('variable_end') || this.is('block_end') || this.isOperator(')')
    if (isEnd()) return inParentheses ? { kind: 'tuple', items: [] } : this.fail('expected an expression')
    const items = [this.expression(hasCondition)]
    if (!this.isOperator(',')) return items[0]!
    while (this.skip('operator', ',')) {
      if (isEnd()) break
      items.push(this.expression(hasCondition))
    }
    return { kind: 'tuple', items }
  }

  postfix (value: Expression): Expression {
    for (;;) {
      if (this.skip('operator', '.')) value = this.#attribute(value)
      else if (this.skip('operator', '[')) value = this.#subscript(value)
      else if (this.isOperator('(')) value = { kind: 'call', callee: value, args: this.args() }
      else return value
    }
  }

  #attribute (of: Expression): Expression {
    if (this.is('name')) return { kind: 'attribute', of, name: this.next().value }
    if (this.is('integer')) return { kind: 'item', of, at: this.#number() }
    return this.fail('expected a name or a number')
  }

  #subscript (of: Expression): Expression {
    const bounds: Array<Expression | null> = []
    while (!this.isOperator(']')) {
      const bound = this.isOperator(':') ? null : this.expression()
      if (bounds.length === 0 && !this.isOperator(':')) {
        this.expect('operator', ']')
        return { kind: 'item', of, at: bound! }
      }
      bounds.push(bound)
      if (!this.skip('operator', ':')) break
      if (this.isOperator(']')) bounds.push(null)
    }
    this.expect('operator', ']')
    if (bounds.length < 2 || bounds.length > 4) this.fail('expected an index or a slice')
    return { kind: 'slice', of, bounds: bounds.slice(0, 3) }
  }

  args (): Arguments {
    this.expect('operator', '(')
    const positional: Expression[] = []
    const named: Array<[string, Expression]> = []
    let [spread, namedSpread]: Array<Expression | null> = [null, null]
    this.#list(')', () => {
      if (namedSpread) this.fail('an argument stands behind **')
      if (this.skip('operator', '**')) namedSpread = this.expression()
      else if (this.skip('operator', '*')) spread = this.expression()
      else if (this.is('name') && this.is('operator', '=', 1)) {
        const name = this.next().value
        this.#at++
        named.push([name, this.expression()])
      } else {
        if (spread || named.length > 0) this.fail('an argument stands behind one with a name')
        positional.push(this.expression())
      }
    })
    return { positional, named, spread: spread ?? null, namedSpread: namedSpread ?? null }
  }

  #dottedName (): string {
    let name = this.expect('name').value
    while (this.skip('operator', '.')) name += `.${this.expect('name').value}`
    return name
  }

  static readonly #noArguments: Arguments = { positional: [], named: [], spread: null, namedSpread: null }

  /** A filter behind its `|`. */
  filter (): Filter {
    return { name: this.#dottedName(), args: this.isOperator('(') ? this.args() : ExpressionParser.#noArguments }
  }

  #filtered (value: Expression): Expression {
    for (;;) {
      if (this.skip('operator', '|')) value = { kind: 'filter', of: value, ...this.filter() }
      else if (this.skip('name', 'is')) value = this.#test(value)
      else if (this.isOperator('(')) value = { kind: 'call', callee: value, args: this.args() }
      else return value
    }
  }

  #test (of: Expression): Expression {
    const isNegated = this.skip('name', 'not')
    const name = this.#dottedName()
    let args = ExpressionParser.#noArguments
    if (this.isOperator('(')) args = this.args()
    else if ((this.is('name') && !this.isName('else', 'or', 'and', 'if', 'in', 'not', 'is')) || this.is('string') ||
        this.is('integer') || this.is('float') || this.isOperator('[', '{')) {
      args = { ...args, positional: [this.postfix(this.primary())] }
    }
    const test: Expression = { kind: 'test', of, name, args }
    return isNegated ? { kind: 'unary', operator: 'not', of: test } : test
  }
}
