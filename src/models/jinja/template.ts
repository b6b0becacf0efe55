/**
 * Chat templates: Jinja as transformers sets it up (jinja2's immutable sandbox with trim_blocks, lstrip_blocks, loop
 * controls, `generation`, `tojson`, `raise_exception` and `strftime_now`), in bounded time and memory. Texts know which
 * of their characters a caller wrote.
 */
import {
  mentions, type Arguments, type Body, type Expression, type Filter, type Parameter, type Statement, type Target
} from './ast.js'
import { Budget, nested, sizeOf } from './budget.js'
import { applyFilter, type FilterContext } from './filters.js'
import { globals, loopField } from './globals.js'
import { attribute, binary, comparison, item, slice, unary } from './operators.js'
import { parse } from './parser.js'
import { applyTest } from './tests.js'
import { concat, Text } from './text.js'
import {
  Callable, Dict, fail, Float, isTrue, itemsOf, List, Loop, Namespace, textOf, typeName, Undefined, type CallArguments,
  type Value
} from './values.js'

/** Calls may be nested so deep. */
const deepestCalls = 100

/** Names within a part of a template, and those around it. */
class Scope {
  readonly #values = new Map<string, Value>()
  readonly #around: Scope | null

  constructor (around: Scope | null) {
    this.#around = around
  }

  get (name: string): Value | undefined {
    const value = this.#values.get(name)
    return value === undefined ? this.#around?.get(name) : value
  }

  set (name: string, value: Value): void { this.#values.set(name, value) }
}

type Jump = 'break' | 'continue' | undefined

/** One rendering. */
class Rendering implements FilterContext {
  readonly budget: Budget
  #output: Text[] = []
  #calls = 0
  #written = 0

  constructor (budget: Budget) { this.budget = budget }

  run (body: Body, scope: Scope): Text {
    return this.#captured(() => { this.#body(body, scope) })
  }

  /** What is written by something. */
  #captured (write: () => void): Text {
    const outer = this.#output
    this.#output = []
    try {
      write()
      return this.budget.made(concat(this.#output))
    } finally {
      this.#output = outer
    }
  }

  #write (text: Text): void {
    if (text.length === 0) return
    this.#output.push(text)
    this.budget.spend(text)
    this.budget.room(this.#written += text.length)
  }

  #body (body: Body, scope: Scope): Jump {
    for (const statement of body) {
      this.budget.step()
      const jump = this.#statement(statement, scope)
      if (jump) return jump
    }
    return undefined
  }

  #statement (one: Statement, scope: Scope): Jump {
    switch (one.kind) {
      case 'data': this.#write(new Text(one.text)); return
      case 'output': this.#write(this.#text(this.#value(one.value, scope))); return
      case 'if': return this.#body(one.branches.find(([test]) => isTrue(this.#value(test, scope)))?.[1] ??
        one.otherwise, scope)
      case 'for': this.#for(one, scope); return
      case 'set': this.#set(one.target, this.#value(one.value, scope), scope); return
      case 'set-block':
        this.#set(one.target, this.#filtered(this.run(one.body, new Scope(scope)), one.filters, scope), scope)
        return
      case 'with': {
        const inner = new Scope(scope)
        for (const [target, value] of one.sets) this.#set(target, this.#value(value, scope), inner)
        return this.#body(one.body, inner)
      }
      case 'macro': scope.set(one.name, this.#macro(one.name, one.parameters, one.body, scope)); return
      case 'call-block': this.#callBlock(one, scope); return
      case 'filter-block':
        this.#write(this.#text(this.#filtered(this.run(one.body, new Scope(scope)), one.filters, scope)))
        return
      case 'generation': return this.#body(one.body, new Scope(scope))
      default: return one.kind
    }
  }

  #text (value: Value): Text {
    this.budget.whole(value)
    return textOf(value)
  }

  #set (target: Target, value: Value, scope: Scope): void {
    if (target.kind === 'name') scope.set(target.name, value)
    else if (target.kind === 'field') {
      const of = scope.get(target.of)
      if (!(of instanceof Namespace)) return fail(`${target.of} is no namespace: its fields cannot be set`)
      of.fields.set(target.name, value)
    } else {
      const items = itemsOf(value)
      if (items.length !== target.items.length) {
        fail(`${items.length} values cannot be unpacked into ${target.items.length} names`)
      }
      for (const [index, inner] of target.items.entries()) this.#set(inner, items[index]!, scope)
    }
  }

  #for (one: Extract<Statement, { kind: 'for' }>, scope: Scope): void {
    const all = this.#value(one.items, scope)
    this.budget.spend(all)
    const items = itemsOf(all).filter(value => {
      if (!one.test) return true
      const inner = new Scope(scope)
      this.#set(one.target, value, inner)
      this.budget.step()
      return isTrue(this.#value(one.test, inner))
    })
    let isDone = false
    let changed: List | null = null
    for (let index = 0; index < items.length; index++) {
      this.budget.step()
      const inner = new Scope(scope)
      const sees = (value: List): boolean => {
        const isNew = changed === null || this.#differs(changed, value)
        changed = value
        return isNew
      }
      inner.set('loop', new Loop(name => loopField(name, items, index, sees)))
      this.#set(one.target, items[index]!, inner)
      const jump = this.#body(one.body, inner)
      if (jump === 'break') break
      if (!jump) isDone = true
    }
    if (!isDone) this.#body(one.otherwise, scope)
  }

  #differs (a: Value, b: Value): boolean { return comparison('!=', a, b, this.budget) }

  #filtered (value: Value, filters: readonly Filter[], scope: Scope): Value {
    return filters.reduce((changed, { name, args }) =>
      this.filter(name, changed, this.#arguments(args, scope)), value)
  }

  #macro (name: string, parameters: readonly Parameter[], body: Body, around: Scope): Callable {
    const takes = (special: string): boolean => mentions(body, special)
    return new Callable(({ positional, named }) => {
      const scope = new Scope(around)
      const left = new Map(named)
      for (const [index, { name: parameter, default: fallback }] of parameters.entries()) {
        const given = index < positional.length ? positional[index] : left.get(parameter)
        left.delete(parameter)
        scope.set(parameter, given !== undefined
          ? given
          : fallback ? this.#value(fallback, scope) : new Undefined(parameter))
      }
      const caller = left.get('caller')
      if (caller) scope.set('caller', caller)
      left.delete('caller')
      const rest = positional.slice(parameters.length)
      if (rest.length > 0 && !takes('varargs')) fail(`the macro ${name} takes ${parameters.length} arguments`)
      if (left.size > 0 && !takes('kwargs')) fail(`the macro ${name} takes no argument ${[...left.keys()][0]}`)
      scope.set('varargs', new List(rest, 'tuple'))
      scope.set('kwargs', new Dict([...left].map(([key, value]) => [new Text(key), value])))
      if (++this.#calls > deepestCalls) fail('macros call each other too deeply')
      const text = this.run(body, scope)
      this.#calls--
      return text
    })
  }

  #callBlock ({ call, parameters, body }: Extract<Statement, { kind: 'call-block' }>, scope: Scope): void {
    const { positional, named } = this.#arguments(call.args, scope)
    const caller = this.#macro('caller', parameters, body, scope)
    const args = { positional, named: new Map([...named, ['caller', caller]]) }
    this.#write(this.#text(this.#call(this.#value(call.callee, scope), args)))
  }

  #call (callee: Value, args: CallArguments): Value {
    if (!(callee instanceof Callable)) return fail(`${typeName(callee)} cannot be called`)
    return this.budget.made(callee.call(args))
  }

  #arguments (args: Arguments, scope: Scope): CallArguments {
    const positional = args.positional.map(value => this.#value(value, scope))
    if (args.spread) positional.push(...itemsOf(this.#value(args.spread, scope)))
    const named = new Map(args.named.map(([name, value]) => [name, this.#value(value, scope)]))
    if (args.namedSpread) {
      const spread = this.#value(args.namedSpread, scope)
      if (!(spread instanceof Dict)) return fail(`${typeName(spread)} cannot be spread as arguments`)
      for (const [key, value] of spread.entries) named.set(textOf(key).value, value)
    }
    return { positional, named }
  }

  item (of: Value, key: Value): Value { return item(of, key, this.budget) }
  filter (name: string, value: Value, args: CallArguments): Value { return applyFilter(name, value, args, this) }
  test (name: string, value: Value, args: CallArguments): boolean {
    for (const other of args.positional) this.budget.spend(other)
    if (args.positional.length > 0 || value instanceof Text) this.budget.whole(value)
    return applyTest(name, value, args)
  }

  #value (one: Expression, scope: Scope): Value {
    this.budget.step()
    const value = (inner: Expression): Value => this.#value(inner, scope)
    switch (one.kind) {
      case 'constant': return typeof one.value === 'string' ? new Text(one.value) : one.value
      case 'float': return new Float(one.value)
      case 'name': return this.#named(one.name, scope)
      case 'list':
      case 'tuple': return new List(one.items.map(value), one.kind)
      case 'dict': return new Dict(one.pairs.map(([key, inner]) => [value(key), value(inner)]))
      case 'attribute': return attribute(value(one.of), one.name, this.budget)
      case 'item': return this.item(value(one.of), value(one.at))
      case 'slice': return slice(value(one.of), one.bounds.map(bound => bound && value(bound)), this.budget)
      case 'call': return this.#call(value(one.callee), this.#arguments(one.args, scope))
      case 'filter': return this.filter(one.name, value(one.of), this.#arguments(one.args, scope))
      case 'test': return this.test(one.name, value(one.of), this.#arguments(one.args, scope))
      case 'unary': return unary(one.operator, value(one.of))
      case 'binary': return this.budget.made(binary(one.operator, value(one.left), value(one.right), this.budget))
      case 'logical': {
        const left = value(one.left)
        return isTrue(left) === (one.operator === 'and') ? value(one.right) : left
      }
      case 'compare': return this.#compare(one, scope)
      case 'concat': return this.budget.made(concat(one.parts.map(part => this.#text(value(part)))))
      default: return isTrue(value(one.test))
        ? value(one.then)
        : one.otherwise ? value(one.otherwise) : new Undefined('a condition without else')
    }
  }

  #named (name: string, scope: Scope): Value {
    const value = scope.get(name)
    if (value !== undefined) return value
    return Object.hasOwn(globals, name) ? globals[name]! : new Undefined(name)
  }

  #compare ({ first, others }: Extract<Expression, { kind: 'compare' }>, scope: Scope): boolean {
    let left = this.#value(first, scope)
    for (const [operator, other] of others) {
      const right = this.#value(other, scope)
      if (!comparison(operator, left, right, this.budget)) return false
      left = right
    }
    return true
  }
}

/** A template, ready to be rendered. */
export class Template {
  readonly #body: Body

  /** @throws TemplateError that names the line */
  constructor (source: string) {
    this.#body = nested(() => parse(source))
  }

  /**
   * @param values what the template may name; the more they hold, the more it may cost
   * @throws TemplateError that says why, TemplateLimitError where it takes too many steps or makes too much
   */
  render (values: Readonly<Record<string, Value>>): Text {
    const scope = new Scope(null)
    const given = Object.values(values).reduce<number>((sum, value) => sum + sizeOf(value), 0)
    for (const [name, value] of Object.entries(values)) scope.set(name, value)
    return nested(() => new Rendering(new Budget(given)).run(this.#body, scope))
  }
}
