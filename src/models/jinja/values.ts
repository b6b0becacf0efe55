/** The values of templates, with Python's rules: what is true, equal, less, and how each is written. */
import { TemplateError } from './lexer.js'
import { callersText, concat, joinTexts, Text } from './text.js'

/** A number with a point. Those without are JavaScript's, whole. */
export class Float {
  readonly value: number
  constructor (value: number) { this.value = value }
}

/** A list, or a tuple, or what a filter makes to be gone through once, or a view of a mapping. */
export class List {
  readonly items: readonly Value[]
  readonly kind: 'list' | 'tuple' | 'iterator' | 'view'
  constructor (items: readonly Value[], kind: List['kind'] = 'list') {
    this.items = items
    this.kind = kind
  }
}

/** A mapping, in the order that its keys came in. */
export class Dict {
  readonly #entries = new Map<string, readonly [key: Value, value: Value]>()

  constructor (entries: Iterable<readonly [key: Value, value: Value]> = []) {
    for (const [key, value] of entries) {
      const known = this.#entries.get(hashOf(key))
      this.#entries.set(hashOf(key), [known ? known[0] : key, value])
    }
  }

  get (key: Value): Value | undefined { return this.#entries.get(hashOf(key))?.[1] }
  has (key: Value): boolean { return this.#entries.has(hashOf(key)) }
  get size (): number { return this.#entries.size }
  get entries (): ReadonlyArray<readonly [key: Value, value: Value]> { return [...this.#entries.values()] }
}

/** What `namespace()` makes: fields that may be set. */
export class Namespace {
  readonly fields = new Map<string, Value>()
}

/** What is not there. What is done with it, beside writing it and asking whether it is there, fails. */
export class Undefined {
  readonly what: string
  constructor (what: string) { this.what = what }
}

/** The arguments of a call. */
export interface CallArguments { readonly positional: readonly Value[], readonly named: ReadonlyMap<string, Value> }

/** Something that can be called. */
export class Callable {
  readonly call: (args: CallArguments) => Value
  constructor (call: (args: CallArguments) => Value) { this.call = call }
}

/** `loop` within a loop: fields that cannot be listed. */
export class Loop {
  readonly field: (name: string) => Value | undefined
  constructor (field: (name: string) => Value | undefined) { this.field = field }
}

export type Value = null | boolean | number | Float | Text | List | Dict | Namespace | Undefined | Callable | Loop

export const fail = (why: string): never => { throw new TemplateError(why) }

/** Python's name of a value's type, for messages. */
export function typeName (value: Value): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return 'int'
  if (value instanceof Text) return 'str'
  if (value instanceof List) return value.kind
  return value instanceof Undefined ? `undefined (${value.what})` : value.constructor.name.toLowerCase()
}

export const isNumber = (value: Value): value is boolean | number | Float =>
  typeof value === 'number' || typeof value === 'boolean' || value instanceof Float

export const numberOf = (value: boolean | number | Float): number =>
  value instanceof Float ? value.value : Number(value)

function hashOf (key: Value): string {
  if (key instanceof Text) return `s${key.value}`
  if (isNumber(key)) return `n${numberOf(key)}`
  if (key === null) return 'none'
  return key instanceof List && key.kind === 'tuple'
    ? `t${JSON.stringify(key.items.map(hashOf))}`
    : fail(`${typeName(key)} cannot be the key of a mapping`)
}

export function isTrue (value: Value): boolean {
  if (value === null || value instanceof Undefined) return false
  if (isNumber(value)) return numberOf(value) !== 0
  if (value instanceof Text) return value.length > 0
  if (value instanceof List) return value.kind === 'iterator' || value.items.length > 0
  return value instanceof Dict ? value.size > 0 : true
}

export function areEqual (a: Value, b: Value): boolean {
  if (a instanceof Text) return b instanceof Text && a.value === b.value
  if (isNumber(a)) return isNumber(b) && numberOf(a) === numberOf(b)
  if (a instanceof List && b instanceof List) {
    return a.kind === b.kind && a.items.length === b.items.length &&
      a.items.every((item, index) => areEqual(item, b.items[index]!))
  }
  if (a instanceof Dict && b instanceof Dict) {
    return a.size === b.size && a.entries.every(([key, value]) => b.has(key) && areEqual(value, b.get(key)!))
  }
  return a === b || (a instanceof Undefined && b instanceof Undefined)
}

/** Below, at or above zero as the first text's code points come before the second's. */
function compareTexts (a: string, b: string): number {
  if (a === b) return 0
  const [left, right] = [Array.from(a), Array.from(b)]
  const at = left.findIndex((character, index) => character !== right[index])
  return at < 0 ? -1 : at >= right.length ? 1 : left[at]!.codePointAt(0)! - right[at]!.codePointAt(0)!
}

/** As compareTexts, for any two values that have an order. @throws TemplateError for others */
export function compare (a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) return numberOf(a) - numberOf(b)
  if (a instanceof Text && b instanceof Text) return compareTexts(a.value, b.value)
  if (a instanceof List && b instanceof List && a.kind === b.kind) {
    const at = a.items.findIndex((item, index) => index >= b.items.length || !areEqual(item, b.items[index]!))
    return at < 0 || at >= b.items.length ? a.items.length - b.items.length : compare(a.items[at]!, b.items[at]!)
  }
  return fail(`${typeName(a)} and ${typeName(b)} have no order`)
}

/** What a loop goes through. @throws TemplateError for what is not iterable */
export function itemsOf (value: Value): readonly Value[] {
  if (value instanceof List) return value.items
  if (value instanceof Dict) return value.entries.map(([key]) => key)
  if (value instanceof Undefined) return []
  if (!(value instanceof Text)) return fail(`${typeName(value)} is not iterable`)
  return characters(value)
}

/** A text's characters, by code point. */
export function characters (text: Text): Text[] {
  let at = 0
  return Array.from(text.value, character => {
    at += character.length
    return text.slice(at - character.length, at)
  })
}

/** Whether a list can be taken by place, and written. */
export const isSequence = (list: List): boolean => list.kind === 'list' || list.kind === 'tuple'

/** Whether a list or a mapping has a value, or a text another. */
export function contains (container: Value, value: Value): boolean {
  if (container instanceof Dict) return container.has(value)
  if (!(container instanceof Text)) return itemsOf(container).some(item => areEqual(item, value))
  return value instanceof Text
    ? container.value.includes(value.value)
    : fail(`${typeName(value)} cannot be in a text`)
}

/** A number as Python writes it. */
export function floatText (value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const [digits, exponent] = value.toExponential().split('e') as [string, string]
  const power = Number(exponent)
  if (value !== 0 && (power < -4 || power >= 16)) {
    return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  }
  const text = Math.abs(value) < 1e-6 && value !== 0 ? value.toFixed(20).replace(/0+$/, '') : String(value)
  return text.includes('.') ? text : `${text}.0`
}

const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' }

/** A text in quotes, as Python's repr writes it. */
function textLiteral (text: Text): Text {
  const quote = text.value.includes('\'') && !text.value.includes('"') ? '"' : '\''
  const inner = text.value.replaceAll(/[\p{C}\p{Z}\\'"]/gu, one => {
    if (one === ' ' || one === '"' || one === '\'') return one === quote ? `\\${one}` : one
    const code = one.codePointAt(0)!
    const hex = (size: number): string => code.toString(16).padStart(size, '0')
    return shortEscapes[one] ?? (code < 256 ? `\\x${hex(2)}` : code < 65536 ? `\\u${hex(4)}` : `\\U${hex(8)}`)
  })
  return concat([new Text(quote), text.with(inner), new Text(quote)])
}

/** A value as Python's repr writes it. */
function literal (value: Value): Text {
  return value instanceof Text
    ? textLiteral(value)
    : value instanceof Undefined ? new Text('Undefined') : textOf(value)
}

/** A value as Python's str writes it. @throws TemplateError for what is written by its place in memory */
export function textOf (value: Value): Text {
  if (value instanceof Text) return value
  if (value === null) return new Text('None')
  if (typeof value === 'boolean') return new Text(value ? 'True' : 'False')
  if (typeof value === 'number') return new Text(String(value))
  if (value instanceof Float) return new Text(floatText(value.value))
  if (value instanceof Undefined) return new Text('')
  const comma = new Text(', ')
  if (value instanceof List && isSequence(value)) {
    const [open, close] = value.kind === 'list' ? ['[', ']'] : ['(', value.items.length === 1 ? ',)' : ')']
    return concat([new Text(open), joinTexts(value.items.map(literal), comma), new Text(close)])
  }
  if (value instanceof Dict) {
    const pairs = value.entries.map(([key, item]) => concat([literal(key), new Text(': '), literal(item)]))
    return concat([new Text('{'), joinTexts(pairs, comma), new Text('}')])
  }
  return fail(`${typeName(value)} cannot be written`)
}

/**
 * A value of JSON, or one with values of templates in it.
 * @param text what a text becomes: default a caller's
 */
export function valueOf (json: unknown, text: (value: string) => Text = callersText): Value {
  if (typeof json === 'string') return text(json)
  if (typeof json === 'number') return Number.isSafeInteger(json) ? json : new Float(json)
  if (typeof json === 'boolean' || json === null) return json
  if (Array.isArray(json)) return new List(json.map(item => valueOf(item, text)))
  if (json instanceof Text || json instanceof List || json instanceof Dict || json instanceof Float) return json
  return new Dict(Object.entries(json as object).map(([name, item]) => [text(name), valueOf(item, text)]))
}
