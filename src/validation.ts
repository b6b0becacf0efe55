/**
 * Checks plain data against schemas, with errors that name the field, the rule and the value, and fills defaults in.
 * The subset of JSON Schema is what requests need: types, ranges, enumerations, lists, objects without unknown fields,
 * alternatives. null means absent where a field has a default.
 */
import { distance } from 'fastest-levenshtein'
import type { Static, TObject, TProperties } from 'typebox'
import { RequestError } from './errors.js'

/** The keywords understood. */
export interface Rules {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly exclusiveMaximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly anyOf?: readonly Rules[]
  readonly items?: Rules
  readonly properties?: Readonly<Record<string, Rules>>
  readonly required?: readonly string[]
  readonly default?: unknown
}

/** The error for a value that breaks a rule: "PATH RULE; got VALUE". */
export function refuse (path: string, rule: string, value: unknown): RequestError {
  const shown = JSON.stringify(value) ?? 'nothing'
  return new RequestError('invalid_request',
    `${path} ${rule}; got ${shown.length > 200 ? `${shown.slice(0, 200)}…` : shown}`, { param: path })
}

/** Whether a value is an object, not a list. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A request's body by its fields. @throws RequestError for anything but an object */
export function objectBody (value: unknown): Record<string, unknown> {
  if (!isObject(value)) throw refuse('body', 'must be a JSON object', value)
  return value
}

/** The nearest of some names, if it is near enough to be meant. */
export function nearestName (name: string, names: Iterable<string>): string | null {
  let best: string | null = null
  let least = Infinity
  for (const one of names) {
    const far = distance(name, one)
    if (far < least) [best, least] = [one, far]
  }
  return best !== null && least <= Math.max(2, best.length / 3) ? best : null
}

function describeRange (rules: Rules, noun: string): string {
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum } = rules
  const from =
    exclusiveMinimum !== undefined ? `above ${exclusiveMinimum}` : minimum !== undefined ? `from ${minimum}` : ''
  if (exclusiveMaximum !== undefined) return [noun, from, `to below ${exclusiveMaximum}`].filter(Boolean).join(' ')
  return [noun, from, maximum === undefined ? (from === '' ? '' : 'up') : `${from === '' ? 'up ' : ''}to ${maximum}`]
    .filter(Boolean).join(' ')
}

function describeSize (noun: string, least: number | undefined, most: number | undefined): string {
  if (least !== undefined && most !== undefined) return `${noun} of ${least} to ${most}`
  if (least !== undefined && least > 0) return `${noun} of at least ${least}`
  return most === undefined ? noun : `${noun} of at most ${most}`
}

const isScalar = (items: Rules | undefined): boolean => items?.type !== undefined && items.type !== 'object'

/** A schema's rule in words. */
export function describeRule (rules: Rules): string {
  if (rules.anyOf) return rules.anyOf.map(describeRule).join(' or ')
  if (rules.const !== undefined) return JSON.stringify(rules.const)
  if (rules.enum) return `one of ${rules.enum.join(', ')}`
  switch (rules.type) {
    case 'integer': return describeRange(rules, 'an integer')
    case 'number': return describeRange(rules, 'a number')
    case 'array': return describeSize('a list', rules.minItems, rules.maxItems) +
      (isScalar(rules.items) ? `, each ${describeRule(rules.items!)}` : '')
    case 'string': return describeSize('a text', rules.minLength, rules.maxLength)
    case 'boolean': return 'true or false'
    case 'null': return 'null'
    default: return 'an object'
  }
}

const within = (size: number, least = 0, most = Infinity): boolean => size >= least && size <= most

function fits (rules: Rules, value: unknown): boolean {
  if (rules.anyOf) return rules.anyOf.some(one => fits(one, value))
  if (rules.const !== undefined) return value === rules.const
  if (rules.enum) return rules.enum.includes(value)
  switch (rules.type) {
    case 'null': return value === null
    case 'boolean': return typeof value === 'boolean'
    case 'string': return typeof value === 'string' && within(value.length, rules.minLength, rules.maxLength)
    case 'array': return Array.isArray(value) && within(value.length, rules.minItems, rules.maxItems) &&
      (!isScalar(rules.items) || value.every(item => fits(rules.items!, item)))
    case 'object': return isObject(value)
    default: return typeof value === 'number' && Number.isFinite(value) &&
      (rules.type !== 'integer' || Number.isSafeInteger(value)) &&
      within(value, rules.minimum, rules.maximum) && value > (rules.exclusiveMinimum ?? -Infinity) &&
        value < (rules.exclusiveMaximum ?? Infinity)
  }
}

/** The field that tells alternatives apart: a constant in each of them. */
function kindField (options: readonly Rules[]): string | undefined {
  return Object.keys(options[0]?.properties ?? {})
    .find(name => options.every(one => one.properties?.[name]?.const !== undefined))
}

/** The one of several kinds of object that a value says it is; undefined where they are not told apart so. */
function kindOf (options: readonly Rules[], value: unknown, path: string): Rules | undefined {
  const objects = options.filter(({ type }) => type === 'object')
  const name = kindField(objects)
  if (name === undefined || !isObject(value)) return undefined
  const given = value[name] ?? undefined
  const kind = objects.find(one => one.properties![name]!.const === (given ?? one.properties![name]!.default))
  if (!kind) {
    throw refuse(`${path}.${name}`,
      `must be one of ${objects.map(one => String(one.properties![name]!.const)).join(', ')}`, given)
  }
  return kind
}

/** Checks a value and fills defaults in, at any depth. */
function checkValue (rules: Rules, value: unknown, path: string): unknown {
  const kind = rules.anyOf && kindOf(rules.anyOf, value, path)
  if (kind) return checkValue(kind, value, path)
  if (!fits(rules, value)) throw refuse(path, `must be ${describeRule(rules)}`, value)
  const matched = rules.anyOf?.find(one => fits(one, value))
  if (matched) return checkValue(matched, value, path)
  if (rules.type === 'array' &&
      rules.items) return (value as unknown[]).map((item, index) => checkValue(rules.items!, item, `${path}[${index}]`))
  return rules.properties ? checkProperties(rules, value as Record<string, unknown>, path) : value
}

function checkProperties (
  { properties = {}, required = [] }: Rules, value: Record<string, unknown>, path: string
): Record<string, unknown> {
  const inside = (name: string): string => path === '' ? name : `${path}.${name}`
  // What an object says it is decides which other fields it may have: a wrong kind is told before they are.
  for (const [name, rules] of Object.entries(properties)) {
    if (rules.const !== undefined &&
        (value[name] ?? undefined) !== undefined) checkValue(rules, value[name], inside(name))
  }
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(properties, name)) throw unknownField(inside(name), name, Object.keys(properties))
  }
  const checked: Record<string, unknown> = {}
  for (const [name, rules] of Object.entries(properties)) {
    const given = value[name]
    if ((given === undefined || given === null) && rules.default !== undefined) {
      checked[name] = structuredClone(rules.default)
    } else if (given !== undefined || required.includes(name)) checked[name] = checkValue(rules, given, inside(name))
  }
  return checked
}

function unknownField (path: string, name: string, known: readonly string[]): RequestError {
  const nearest = nearestName(name, known)
  return new RequestError('invalid_request', `${path} is not a ` +
    `field${nearest === null ? `; there are ${known.join(', ')}` : `; did you mean ${nearest}?`}`, { param: path })
}

/**
 * The fields of an object, checked, defaults filled in. Unknown fields are refused.
 * @param path name of the object, '' for a request's body
 * @throws RequestError naming the field, the rule and the value; for an unknown field the nearest known one
 */
export function checkFields<P extends TProperties> (
  schema: TObject<P>, value: Record<string, unknown>, path: string
): Static<TObject<P>> {
  return checkProperties(schema as Rules, value, path) as Static<TObject<P>>
}
