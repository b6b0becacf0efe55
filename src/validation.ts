/** How a value is refused: the field, the rule in words, the value, and the nearest name of an unknown field. */
import { distance } from 'fastest-levenshtein'
import { RequestError } from './errors.js'

/** The keywords of JSON Schema that are described in words. */
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
  readonly pattern?: string
  readonly minItems?: number
  readonly maxItems?: number
  readonly anyOf?: readonly Rules[]
  readonly oneOf?: readonly Rules[]
  readonly discriminator?: { readonly propertyName: string }
  readonly items?: Rules
  readonly properties?: Readonly<Record<string, Rules>>
  readonly required?: readonly string[]
  readonly additionalProperties?: unknown
  readonly propertyNames?: Rules
  readonly maxProperties?: number
  readonly not?: object
  /** JSON type of values that have a reader of their own. */
  readonly 'x-checked-apart'?: string
  readonly default?: unknown
  readonly description?: string
}

/** Characters of what a caller chose that an error shows. */
const maxShown = 200

/** A value's JSON, whole where it is short; of a long one little more is written than is shown. */
function beginningOf (value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, maxShown))
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const [isList, fields] = [Array.isArray(value), value as Record<string, unknown>]
  let text = ''
  for (const name in fields) {
    if (fields[name] === undefined && !isList) continue
    text += `${text === '' ? '' : ','}${isList ? '' : `${beginningOf(name)}:`}${beginningOf(fields[name])}`
    if (text.length > maxShown) break
  }
  return isList ? `[${text}]` : `{${text}}`
}

/** A text that a caller chose, as much of it as an error shows. */
const cut = (text: string): string => text.length > maxShown ? `${text.slice(0, maxShown)}…` : text

/** The error for a value that breaks a rule: "PATH RULE; got VALUE". */
export function refuse (path: string, rule: string, value: unknown): RequestError {
  const shown = value === undefined ? 'nothing' : beginningOf(value)
  return new RequestError('invalid_request', `${cut(path)} ${rule}; got ${cut(shown)}`, { param: cut(path) })
}

/** Whether a value is an object, not a list. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** How far a name may be from what is meant by it. */
const mostFar = (meant: string): number => Math.max(2, meant.length / 3)

/** The nearest of some names, if it is near enough to be meant. */
export function nearestName (name: string, names: Iterable<string>): string | null {
  let best: string | null = null
  let least = Infinity
  // What is longer than any name is near to none, and slow to compare.
  if (name.length > 200) return null
  for (const one of names) {
    // A name may be as long as a body.
    if (Math.abs(name.length - one.length) > mostFar(one)) continue
    const far = distance(name, one)
    if (far < least && far <= mostFar(one)) [best, least] = [one, far]
  }
  return best
}

/** The error for a field that an object does not have, with the nearest that it has. */
export function unknownField (path: string, name: string, known: readonly string[]): RequestError {
  const nearest = nearestName(name, known)
  return new RequestError('invalid_request', `${cut(path)} is not a ` +
    `field${nearest === null ? `; there are ${known.join(', ')}` : `; did you mean ${nearest}?`}`, { param: cut(path) })
}

/** A bound in digits: of those beyond 2^53 JavaScript would write some as zeros. */
const digits = (bound: number | undefined): bigint | number | undefined =>
  bound !== undefined && Math.abs(bound) > Number.MAX_SAFE_INTEGER && Number.isInteger(bound) ? BigInt(bound) : bound

function describeRange (rules: Rules, noun: string): string {
  const [minimum, exclusiveMinimum, maximum, exclusiveMaximum] =
    [rules.minimum, rules.exclusiveMinimum, rules.maximum, rules.exclusiveMaximum].map(digits)
  const from =
    exclusiveMinimum !== undefined ? `above ${exclusiveMinimum}` : minimum !== undefined ? `from ${minimum}` : ''
  if (exclusiveMaximum !== undefined) return [noun, from, `to below ${exclusiveMaximum}`].filter(Boolean).join(' ')
  return [noun, from, maximum === undefined ? (from === '' ? '' : 'up') : `${from === '' ? 'up ' : ''}to ${maximum}`]
    .filter(Boolean).join(' ')
}

function describeSize (noun: string, unit: string, min = 0, max = Infinity): string {
  const of = (words: string, count: number): string => `${noun} of ${words}${count} ${unit}${count === 1 ? '' : 's'}`
  if (max === Infinity) return min > 0 ? of('at least ', min) : noun
  return min === max ? of('exactly ', max) : of(min > 0 ? `${min} to ` : 'at most ', max)
}

function describeObject ({ maxProperties, propertyNames }: Rules): string {
  return (maxProperties === undefined ? 'an object' : `an object of at most ${maxProperties} fields`) +
    (propertyNames ? `, their names ${describeRule(propertyNames)}` : '')
}

/** Whether items are described as part of their list. */
export const isScalar = (items: Rules | undefined): boolean => items?.type !== undefined && items.type !== 'object'

/** A schema's rule in words. A pattern is described by its description. */
export function describeRule (rules: Rules): string {
  const options = rules.anyOf ?? rules.oneOf
  if (options) return [...new Set(options.map(describeRule))].join(' or ')
  if (rules.const !== undefined) return JSON.stringify(rules.const)
  if (rules.enum) return `one of ${rules.enum.join(', ')}`
  switch (rules.type) {
    case 'integer': return describeRange(rules, 'an integer')
    case 'number': return describeRange(rules, 'a number')
    case 'array': return describeSize('a list', 'item', rules.minItems, rules.maxItems) +
      (isScalar(rules.items) ? `, each ${describeRule(rules.items!)}` : '')
    case 'string': return rules.pattern !== undefined && rules.description !== undefined
      ? rules.description
      : describeSize('a string', 'character', rules.minLength, rules.maxLength)
    case 'boolean': return 'true or false'
    case 'null': return 'null'
    default: return describeObject(rules)
  }
}
