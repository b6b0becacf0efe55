/**
 * Reads one JSON Schema (2020-12), none of those inside it: which keywords it has and what they say, as plain data.
 * What cannot be enforced is refused by name, never passed over. Knows no grammars.
 */
import { isObject, nearestName, refuse } from '../validation.js'
import { isWritable, type Bound } from './numbers.js'

/** A schema that is an object, its keywords not yet checked. */
export type Schema = Readonly<Record<string, unknown>>

const typeNames = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const
/** What `type` may say. */
export type TypeName = (typeof typeNames)[number]

/** The keywords that are about one type. */
const typeKeywords = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']
} as const

/** Keyword → the type it is about. */
const keywordTypes = Object.fromEntries(Object.entries(typeKeywords)
  .flatMap(([type, keywords]) => keywords.map(keyword => [keyword, type]))) as Readonly<Record<string, TypeName>>

/** Keywords that no other may stand beside. */
const alone = ['$ref', 'anyOf', 'oneOf', 'allOf'] as const

/** Keywords that restrict nothing. */
const annotations: ReadonlySet<string> = new Set(['title', 'description', 'default', 'examples', 'example',
  'deprecated', 'readOnly', 'writeOnly', '$comment', '$schema', '$id', '$defs', 'definitions'])

const known = [...Object.keys(keywordTypes), ...alone, 'type', 'enum', 'const']

/** The narrowest type of a value. */
export function typeOf (value: unknown): TypeName {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value as 'object' | 'string' | 'boolean'
}

const isOfType = (value: unknown, types: readonly TypeName[]): boolean => {
  const own = typeOf(value)
  return types.includes(own) || (own === 'integer' && types.includes('number'))
}

/** Refuses keywords that are not known, and those that cannot stand side by side. */
export function checkKeywords (schema: Schema, path: string): void {
  const keywords = Object.keys(schema).filter(keyword => !annotations.has(keyword) && !keyword.startsWith('x-'))
  for (const keyword of keywords) {
    if (known.includes(keyword)) continue
    const nearest = nearestName(keyword, known)
    throw refuse(`${path}.${keyword}`, 'is not a supported ' +
      `keyword${nearest === null ? `; supported are ${known.join(', ')}` : `; did you mean ${nearest}?`}`,
    schema[keyword])
  }
  const only = keywords.find(keyword => (alone as readonly string[]).includes(keyword) || keyword === 'enum' ||
    keyword === 'const')
  const beside = only &&
    keywords.find(keyword => keyword !== only && !(keyword === 'type' && (only === 'enum' || only === 'const')))
  if (beside) throw refuse(`${path}.${beside}`, `cannot be combined with ${only}`, schema[beside])
}

/** The keyword of a schema that allows no other beside it; undefined where it has none. */
export const keywordAlone = (schema: Schema): (typeof alone)[number] | undefined =>
  alone.find(keyword => keyword in schema)

/** The types that a schema is about; null is any. */
export function typesOf (schema: Schema, path: string): readonly TypeName[] | null {
  const { type } = schema
  const about = Object.keys(schema).flatMap(keyword => keywordTypes[keyword] ?? [])
  if (type === undefined) return about.length === 0 ? null : [...new Set(about)]
  const types = (Array.isArray(type) ? type : [type]) as TypeName[]
  if (types.length === 0 || types.some(one => !typeNames.includes(one))) {
    throw refuse(`${path}.type`, `must be one of ${typeNames.join(', ')}, or a list of them`, type)
  }
  for (const keyword of Object.keys(schema)) {
    const owner = keywordTypes[keyword]
    if (owner && !types.includes(owner) && !(owner === 'number' && types.includes('integer'))) {
      throw refuse(`${path}.${keyword}`, `does not apply to type ${types.join(', ')}`, schema[keyword])
    }
  }
  return [...new Set(types)].filter(one => one !== 'integer' || !types.includes('number'))
}

/** The values that `const` or `enum` lists, as JSON, each once. */
export function listedValues (schema: Schema, path: string): string[] {
  const keyword = 'const' in schema ? 'const' : 'enum'
  const given = schema[keyword]
  if (keyword === 'enum' && (!Array.isArray(given) || given.length === 0)) {
    throw refuse(`${path}.enum`, 'must be a nonempty list of values', given)
  }
  const values = keyword === 'const' ? [given] : given as readonly unknown[]
  const types = schema['type'] === undefined ? null : typesOf(schema, path)
  const odd = types ? values.findIndex(value => !isOfType(value, types)) : -1
  if (odd >= 0) throw refuse(`${path}.${keyword}`, `must contain only values of type ${types!.join(', ')}`, values[odd])
  return [...new Set(values.map(value => JSON.stringify(value)))]
}

/** A whole number from 0 to `most`, or null where it is not given. */
function size (schema: Schema, keyword: string, path: string, max: number): number | null {
  const value = schema[keyword]
  if (value === undefined) return null
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 ||
      value > max) throw refuse(`${path}.${keyword}`, `must be an integer from 0 to ${max}`, value)
  return value
}

/** Bounds of a size, which must leave room; at least 0, null is no limit. */
export function sizes (schema: Schema, [low, high]: readonly [string, string], path: string, max: number): [number,
  number | null] {
  const [min, largest] = [size(schema, low, path, max) ?? 0, size(schema, high, path, max)]
  if (largest !== null &&
      largest < min) throw refuse(`${path}.${high}`, `must be at least ${low} (${min})`, largest)
  return [min, largest]
}

/** The least or the largest number that there may be; null where neither keyword is given. */
function bound (schema: Schema, side: 'inimum' | 'aximum', path: string): Bound | null {
  const [inclusive, exclusive] = [schema[`m${side}`], schema[`exclusiveM${side}`]]
  for (const [keyword, value] of [[`m${side}`, inclusive], [`exclusiveM${side}`, exclusive]] as const) {
    if (value !== undefined && (typeof value !== 'number' || !isWritable(value))) {
      throw refuse(`${path}.${keyword}`, 'must be a number with at most 20 digits after the decimal point', value)
    }
  }
  if (inclusive === undefined && exclusive === undefined) return null
  if (exclusive === undefined) return { value: inclusive as number, exclusive: false }
  if (inclusive === undefined) return { value: exclusive as number, exclusive: true }
  // Both are given: the narrower one counts.
  const isNarrower =
    side === 'inimum' ? (exclusive as number) >= (inclusive as number) : (exclusive as number) <= (inclusive as number)
  return isNarrower ? { value: exclusive as number, exclusive: true } : { value: inclusive as number, exclusive: false }
}

/** What numbers lie between; null is no bound. */
export const bounds = (schema: Schema, path: string): { readonly low: Bound | null, readonly high: Bound | null } => ({
  low: bound(schema, 'inimum', path), high: bound(schema, 'aximum', path)
})

/** An array's first items, what all others are, and whether there are any. */
export function itemsOf (
  schema: Schema, path: string
): { readonly first: readonly unknown[], readonly items: unknown, readonly isClosed: boolean } {
  const { items, prefixItems = [], uniqueItems } = schema
  if (uniqueItems !== undefined &&
      uniqueItems !== false) throw refuse(`${path}.uniqueItems`, 'is not supported unless it is false', uniqueItems)
  if (Array.isArray(items)) {
    throw refuse(`${path}.items`, 'must be a single schema; use prefixItems for a list of schemas', items)
  }
  if (!Array.isArray(prefixItems)) throw refuse(`${path}.prefixItems`, 'must be a list of schemas', prefixItems)
  // Where only the first items are described there are no others.
  return { first: prefixItems, items, isClosed: items === false || (items === undefined && prefixItems.length > 0) }
}

/** An object's properties in order, those that are only required at the end, and what all others are; false is none. */
export function propertiesOf (schema: Schema, path: string): {
  readonly names: readonly string[],
  readonly properties: Schema,
  readonly required: readonly string[],
  readonly others: unknown
} {
  const { properties = {}, required = [], additionalProperties } = schema
  if (!isObject(properties)) {
    throw refuse(`${path}.properties`, 'must be an object whose values are schemas', properties)
  }
  if (!Array.isArray(required) || required.some(name => typeof name !== 'string')) {
    throw refuse(`${path}.required`, 'must be a list of property names', required)
  }
  const names = [...new Set([...Object.keys(properties), ...required as string[]])]
  // Where properties are described, others are allowed only if the schema says so.
  const others = additionalProperties ?? (names.length === 0)
  const missing = others === false ? names.find(name => !Object.hasOwn(properties, name)) : undefined
  if (missing !== undefined) throw refuse(`${path}.required`, 'must name properties of the schema', missing)
  return { names, properties, required, others }
}
