/** A template's source → statements. Refuses by name what transformers' templates cannot do, or nobody needs. */
import type { Body, Expression, Filter, Parameter, Statement, Target } from './ast.js'
import { tokenize } from './lexer.js'
import { ExpressionParser } from './parse-expressions.js'

/** Statements may be nested so deep. */
const mostNested = 100

class Parser extends ExpressionParser {
  #nested = 0

  /** Statements up to one of some tags, whose name is the next token. */
  body (ends: readonly string[]): Body {
    if (++this.#nested > mostNested) this.fail('the template is nested too deeply')
    const statements: Statement[] = []
    for (;;) {
      if (this.is('end')) {
        if (ends.length > 0) this.fail(`expected ${ends.join(' or ')} before the end`)
        break
      }
      if (this.is('data')) statements.push({ kind: 'data', text: this.next().value })
      else if (this.skip('variable_begin')) {
        statements.push({ kind: 'output', value: this.tuple() })
        this.expect('variable_end')
      } else {
        this.expect('block_begin')
        if (this.isName(...ends)) break
        statements.push(this.#statement())
        this.expect('block_end')
      }
    }
    this.#nested--
    return statements
  }

  /** The rest of a tag, and what stands up to the tag that ends it, whose name is taken. */
  #block (end: string): Body {
    this.#endTag()
    const body = this.body([end])
    this.expect('name', end)
    return body
  }

  #endTag (): void {
    this.skip('operator', ':')
    this.expect('block_end')
  }

  #statement (): Statement {
    const { value: name } = this.expect('name')
    switch (name) {
      case 'if': return this.#if()
      case 'for': return this.#for()
      case 'set': return this.#set()
      case 'with': return this.#with()
      case 'macro': return this.#macro()
      case 'call': return this.#call()
      case 'filter': {
        const filters = [this.filter(), ...this.#filters()]
        return { kind: 'filter-block', filters, body: this.#block('endfilter') }
      }
      case 'generation': return { kind: 'generation', body: this.#block('endgeneration') }
      case 'break':
      case 'continue': return { kind: name }
      default: return this.fail(`tag ${JSON.stringify(name)} is not supported`)
    }
  }

  #if (): Statement {
    const branches: Array<[Expression, Body]> = []
    let otherwise: Body = []
    for (;;) {
      const test = this.tuple(false, false)
      this.#endTag()
      branches.push([test, this.body(['elif', 'else', 'endif'])])
      const end = this.next().value
      if (end === 'elif') continue
      if (end === 'else') otherwise = this.#block('endif')
      return { kind: 'if', branches, otherwise }
    }
  }

  #for (): Statement {
    const target = this.#target('in')
    this.expect('name', 'in')
    const items = this.tuple(false, false)
    const test = this.skip('name', 'if') ? this.expression() : null
    if (this.isName('recursive')) this.fail('recursive loops are not supported')
    this.#endTag()
    const body = this.body(['else', 'endfor'])
    const otherwise = this.next().value === 'else' ? this.#block('endfor') : []
    return { kind: 'for', target, items, test, body, otherwise }
  }

  #oneTarget (): Target {
    if (this.skip('operator', '(')) {
      const target = this.#target(')')
      this.expect('operator', ')')
      return target
    }
    const name = this.expect('name').value
    return this.skip('operator', '.')
      ? { kind: 'field', of: name, name: this.expect('name').value }
      : { kind: 'name', name }
  }

  /** Names up to a token of some value. */
  #target (end: string): Target {
    const items = [this.#oneTarget()]
    const isTuple = this.isOperator(',')
    while (this.skip('operator', ',') && this.current.value !== end) items.push(this.#oneTarget())
    return isTuple ? { kind: 'tuple', items } : items[0]!
  }

  #filters (): Filter[] {
    const filters: Filter[] = []
    while (this.skip('operator', '|')) filters.push(this.filter())
    return filters
  }

  #set (): Statement {
    const target = this.#target('=')
    if (this.skip('operator', '=')) return { kind: 'set', target, value: this.tuple() }
    const filters = this.#filters()
    return { kind: 'set-block', target, filters, body: this.#block('endset') }
  }

  #with (): Statement {
    const sets: Array<[Target, Expression]> = []
    while (!this.is('block_end')) {
      if (sets.length > 0) this.expect('operator', ',')
      const target = this.#oneTarget()
      this.expect('operator', '=')
      sets.push([target, this.expression()])
    }
    return { kind: 'with', sets, body: this.#block('endwith') }
  }

  #parameters (): Parameter[] {
    this.expect('operator', '(')
    const parameters: Parameter[] = []
    while (!this.skip('operator', ')')) {
      if (parameters.length > 0) this.expect('operator', ',')
      const name = this.expect('name').value
      const value = this.skip('operator', '=') ? this.expression() : null
      if (value === null && parameters.at(-1)?.default) this.fail('a parameter without a default stands behind one')
      parameters.push({ name, default: value })
    }
    return parameters
  }

  #macro (): Statement {
    const name = this.expect('name').value
    const parameters = this.#parameters()
    return { kind: 'macro', name, parameters, body: this.#block('endmacro') }
  }

  #call (): Statement {
    const parameters = this.isOperator('(') ? this.#parameters() : []
    const call = this.expression()
    if (call.kind !== 'call') this.fail('expected a call')
    return { kind: 'call-block', call, parameters, body: this.#block('endcall') }
  }
}

/** @throws TemplateError that names the line */
export const parse = (source: string): Body => new Parser(tokenize(source)).body([])
