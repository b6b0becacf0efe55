/** Arithmetic, comparisons, items and slices, as Python has them. */
import { there } from './arguments.js'
import type { Budget } from './budget.js'
import { methodOf } from './methods.js'
import { codePoints, concat, Text } from './text.js'
import {
  areEqual, compare, contains, Dict, fail, Float, isNumber, isSequence, isTrue, List, Loop, Namespace, numberOf,
  textOf, typeName, Undefined, type Value
} from './values.js'

/** A whole number, or one with a point where either was. */
function number (value: number, isFloat: boolean): Value {
  if (isFloat) return new Float(value)
  return Number.isSafeInteger(value) ? value : fail(`the number ${value} is too large`)
}

function arithmetic (operator: string, a: number, b: number, isFloat: boolean): Value {
  if (b === 0 && ['/', '//', '%'].includes(operator)) return fail('a number cannot be divided by zero')
  switch (operator) {
    case '+': return number(a + b, isFloat)
    case '-': return number(a - b, isFloat)
    case '*': return number(a * b, isFloat)
    case '/': return new Float(a / b)
    case '//': return number(Math.floor(a / b), isFloat)
    case '%': return number(a - b * Math.floor(a / b), isFloat)
    default: return number(a ** b, isFloat || b < 0)
  }
}

/** `not`, or a sign. */
export function unary (operator: string, value: Value): Value {
  if (operator === 'not') return !isTrue(value)
  if (!isNumber(value)) return fail(`${operator}${typeName(value)} is not possible`)
  const number = operator === '-' ? -numberOf(value) : numberOf(value)
  return value instanceof Float ? new Float(number) : number + 0
}

/** A text or a list, so many times. */
function repeated (value: Text | List, count: number, budget: Budget): Value {
  budget.room((value instanceof Text ? value.length : value.items.length) * count)
  const times = Array.from({ length: Math.max(0, count) }, () => value)
  return value instanceof Text
    ? concat(times as Text[])
    : new List((times as List[]).flatMap(({ items }) => items), value.kind)
}

/** Python's `text % values`: %s, %d, %r is refused with the rest. */
function formatted (text: Text, value: Value): Text {
  const values = value instanceof List && value.kind === 'tuple' ? [...value.items] : [value]
  const parts: Text[] = []
  let from = 0
  for (const { 0: found, index } of text.value.matchAll(/%([\s\S]?)/g)) {
    parts.push(text.slice(from, index))
    from = index + found.length
    if (found === '%%') { parts.push(new Text('%')); continue }
    const next = values.shift() ?? fail('a text has more places than values')
    if (found === '%s') parts.push(textOf(next))
    else if (found === '%d' && isNumber(next)) parts.push(new Text(String(Math.trunc(numberOf(next)))))
    else fail(`the place ${found} in a text is not supported`)
  }
  if (values.length > 0 && !(value instanceof Dict)) fail('a text has more values than places')
  return concat([...parts, text.slice(from)])
}

/** @throws TemplateError for values that the operator does not take */
export function binary (operator: string, left: Value, right: Value, budget: Budget): Value {
  if (isNumber(left) && isNumber(right)) {
    return arithmetic(operator, numberOf(left), numberOf(right), left instanceof Float || right instanceof Float)
  }
  if (operator === '+') {
    if (left instanceof Text && right instanceof Text) return concat([left, right])
    if (left instanceof List && right instanceof List && left.kind === right.kind && isSequence(left)) {
      return new List([...left.items, ...right.items], left.kind)
    }
  }
  if (operator === '*') {
    const [value, count] = typeof left === 'number' ? [right, left] : [left, right]
    if ((value instanceof Text || value instanceof List) && typeof count === 'number') {
      return repeated(value, count, budget)
    }
  }
  if (operator === '%' && left instanceof Text) {
    budget.whole(right)
    return formatted(left, there(right))
  }
  return fail(`${typeName(left)} ${operator} ${typeName(right)} is not possible`)
}

/** @throws TemplateError for values that have no order, or contain nothing */
export function comparison (operator: string, left: Value, right: Value, budget: Budget): boolean {
  budget.whole(left)
  switch (operator) {
    case '==': return areEqual(left, right)
    case '!=': return !areEqual(left, right)
    case 'in':
    case 'not in':
      budget.spend(right)
      return contains(right, left) === (operator === 'in')
    case '<': return compare(left, right) < 0
    case '>': return compare(left, right) > 0
    case '<=': return compare(left, right) <= 0
    default: return compare(left, right) >= 0
  }
}

/** A text's or a list's item, counted from the end where the place is below zero. */
function itemAt (of: Text | List, place: number): Value | undefined {
  if (of instanceof List) return of.items.at(place)
  const { count, place: unit } = codePoints(of)
  const at = place < 0 ? place + count : place
  return at < 0 || at >= count ? undefined : of.slice(unit(at), unit(at + 1))
}

const missing = (of: Value, name: string): Undefined => new Undefined(`${JSON.stringify(name)} of ${typeName(of)}`)

/** `of[key]`: an item before a method. */
export function item (of: Value, key: Value, budget: Budget): Value {
  there(of)
  if (of instanceof Dict && (key instanceof Text || isNumber(key) || key === null) && of.has(key)) return of.get(key)!
  if ((of instanceof Text || (of instanceof List && isSequence(of))) && typeof key === 'number') {
    if (of instanceof Text) budget.spend(of)
    const found = itemAt(of, key)
    return found === undefined ? missing(of, String(key)) : found
  }
  if (!(key instanceof Text)) return missing(of, textOf(key).value)
  const found = memberOf(of, key.value, budget)
  return found === undefined ? missing(of, key.value) : found
}

/** A field of a namespace or of `loop`, or a method. */
function memberOf (of: Value, name: string, budget: Budget): Value | undefined {
  if (of instanceof Namespace) return of.fields.get(name)
  return of instanceof Loop ? of.field(name) : methodOf(of, name, budget)
}

/** `of.name`: a method before an item. */
export function attribute (of: Value, name: string, budget: Budget): Value {
  there(of)
  const member = memberOf(of, name, budget)
  const found = member === undefined && of instanceof Dict ? of.get(new Text(name)) : member
  return found === undefined ? missing(of, name) : found
}

/** The places of a slice. */
function placesOf (length: number, [from, to, by]: ReadonlyArray<number | null>): number[] {
  const step = by ?? 1
  if (step === 0) return fail('the step of a slice must not be 0')
  const clamp = (place: number | null, fallback: number): number => {
    if (place === null) return fallback
    const [least, greatest] = step > 0 ? [0, length] : [-1, length - 1]
    return Math.min(Math.max(place < 0 ? place + length : place, least), greatest)
  }
  const [start, end] = [clamp(from!, step > 0 ? 0 : length - 1), clamp(to!, step > 0 ? length : -1)]
  const places: number[] = []
  for (let place = start; step > 0 ? place < end : place > end; place += step) places.push(place)
  return places
}

/** `of[from:to:by]`. */
export function slice (of: Value, bounds: readonly Value[], budget: Budget): Value {
  const numbers = [0, 1, 2].map(index => bounds[index] ?? null)
    .map(bound => bound === null || typeof bound === 'number'
      ? bound
      : fail('the ends of a slice must be whole numbers'))
  budget.spend(of)
  if (of instanceof Text) {
    const { count, place: unit } = codePoints(of)
    const places = placesOf(count, numbers)
    if ((numbers[2] ?? 1) === 1) return of.slice(unit(places[0] ?? 0), unit((places.at(-1) ?? -1) + 1))
    return concat(places.map(place => of.slice(unit(place), unit(place + 1))))
  }
  if (!(of instanceof List && isSequence(of))) return fail(`${typeName(there(of))} cannot be cut`)
  return new List(placesOf(of.items.length, numbers).map(place => of.items[place]!), of.kind)
}
