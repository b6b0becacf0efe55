/**
 * Reads one JSON Schema (2020-12), none of those inside it: which keywords it has and what they say, as plain data.
 * What cannot be enforced is refused by name, never passed over. Knows no grammars.
 */
import { stringifyOrdered } from './ordered-json.js'
import { isObject, nearestName, refuse } from '../validation.js'
import { isWritable, type Bound } from './numbers.js'

/** A schema that is an object, its keywords not yet checked. */
export type Schema = Readonly<Record<string, unknown>>

const typeNames = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const
/** What `type` may say. */
export type TypeName = (typeof typeNames)[number]

/** The keywords that are about one type. */
const typeKeywords = {
  object: ['properties', 'required', 'additionalProperties', 'patternProperties', 'propertyNames'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']
} as const

/** Keyword → the type it is about. */
const keywordTypes = Object.fromEntries(Object.entries(typeKeywords)
  .flatMap(([type, keywords]) => keywords.map(keyword => [keyword, type]))) as Readonly<Record<string, TypeName>>

/** Keywords that combine schemas. */
const combining = ['$ref', 'allOf', 'anyOf', 'oneOf'] as const

/** Keywords that restrict nothing: those of the vocabularies of annotations and content, and OpenAPI's. */
const annotations: ReadonlySet<string> = new Set(['title', 'description', 'default', 'examples', 'example',
  'deprecated', 'readOnly', 'writeOnly', '$comment', '$schema', '$id', 'id', '$defs', 'definitions', 'contentEncoding',
  'contentMediaType', 'contentSchema', 'externalDocs', 'xml'])

/** Names the kinds of a oneOf or an anyOf that are told apart by a property: what is beside it says the same. */
const hint = 'discriminator'

const known = [...Object.keys(keywordTypes), ...combining, 'type', 'enum', 'const', hint]

/** Whether a keyword restricts what a schema accepts. */
export const restricts = (keyword: string): boolean =>
  !annotations.has(keyword) && keyword !== hint && !keyword.startsWith('x-')

/** The narrowest type of a value. */
export function typeOf (value: unknown): TypeName {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value as 'object' | 'string' | 'boolean'
}

/** Whether a value is of one of some types. */
export const isOfType = (value: unknown, types: readonly TypeName[]): boolean => {
  const own = typeOf(value)
  return types.includes(own) || (own === 'integer' && types.includes('number'))
}

/** Refuses keywords that are not known. */
export function checkKeywords (schema: Schema, path: string): void {
  for (const keyword of Object.keys(schema)) {
    if (!restricts(keyword) || known.includes(keyword)) continue
    const nearest = nearestName(keyword, known)
    throw refuse(`${path}.${keyword}`, 'is not a supported ' +
      `keyword${nearest === null ? `; supported are ${known.join(', ')}` : `; did you mean ${nearest}?`}`,
    schema[keyword])
  }
  if (hint in schema && !('oneOf' in schema || 'anyOf' in schema)) {
    throw refuse(`${path}.${hint}`, 'needs oneOf or anyOf beside it', schema[hint])
  }
}

/** The first keyword that combines schemas, and whether nothing that restricts stands beside it. */
export function combiningIn (
  schema: Schema
): { readonly combining: (typeof combining)[number] | undefined, readonly isAlone: boolean } {
  const found = combining.find(keyword => keyword in schema)
  return { combining: found, isAlone: Object.keys(schema).every(keyword => keyword === found || !restricts(keyword)) }
}

/** The schemas that a combining keyword lists. */
export function schemasIn (schema: Schema, keyword: 'allOf' | 'anyOf' | 'oneOf', path: string): readonly unknown[] {
  const list = schema[keyword]
  if (!Array.isArray(list) || list.length === 0) {
    throw refuse(`${path}.${keyword}`, 'must be a nonempty list of schemas', list)
  }
  return list
}

/** Whether a keyword says something of values of some types. */
export function appliesTo (keyword: string, types: readonly TypeName[]): boolean {
  const owner = keywordTypes[keyword]
  return owner === undefined || types.includes(owner) || (owner === 'number' && types.includes('integer'))
}

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
    if (!appliesTo(keyword, types)) {
      throw refuse(`${path}.${keyword}`, `does not apply to type ${types.join(', ')}`, schema[keyword])
    }
  }
  return [...new Set(types)].filter(one => one !== 'integer' || !types.includes('number'))
}

/** What `const` or `enum` lists; null where there is neither. Where both are, the value that both have. */
export function valuesIn (schema: Schema, path: string): readonly unknown[] | null {
  const given = schema['enum']
  if (given !== undefined && (!Array.isArray(given) || given.length === 0)) {
    throw refuse(`${path}.enum`, 'must be a nonempty list of values', given)
  }
  if (!('const' in schema)) return given === undefined ? null : given as readonly unknown[]
  const text = canonical(schema['const'])
  if (given !== undefined && !(given as readonly unknown[]).some(value => canonical(value) === text)) {
    throw refuse(`${path}.const`, 'must be one of enum', schema['const'])
  }
  return [schema['const']]
}

/** A value as text, the same for values that JSON Schema calls equal. */
export function canonical (value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  return `{${Object.keys(value).sort().map(key => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`
}

const lengthIn = (text: string): number => Array.from(text).length

/** Keyword → whether a value keeps to it; values of other types do. */
const limitsOf: Readonly<Record<string, (value: unknown, limit: number) => boolean>> = {
  minLength: (value, limit) => typeof value !== 'string' || lengthIn(value) >= limit,
  maxLength: (value, limit) => typeof value !== 'string' || lengthIn(value) <= limit,
  minItems: (value, limit) => !Array.isArray(value) || value.length >= limit,
  maxItems: (value, limit) => !Array.isArray(value) || value.length <= limit,
  minimum: (value, limit) => typeof value !== 'number' || value >= limit,
  maximum: (value, limit) => typeof value !== 'number' || value <= limit,
  exclusiveMinimum: (value, limit) => typeof value !== 'number' || value > limit,
  exclusiveMaximum: (value, limit) => typeof value !== 'number' || value < limit
}

/**
 * The values that `const` or `enum` lists and the keywords beside it accept, as JSON, each once.
 * @param values what is listed
 */
export function acceptedValues (values: readonly unknown[], schema: Schema, path: string): string[] {
  const keyword = 'const' in schema ? 'const' : 'enum'
  const types = schema['type'] === undefined ? null : typesOf(schema, path)
  const odd = types ? values.findIndex(value => !isOfType(value, types)) : -1
  if (odd >= 0) throw refuse(`${path}.${keyword}`, `must contain only values of type ${types!.join(', ')}`, values[odd])
  const limits = Object.keys(schema).filter(name => Object.hasOwn(limitsOf, name))
  const other = Object.keys(schema).find(name => restricts(name) && !limits.includes(name) &&
    !['type', 'enum', 'const'].includes(name) && values.some(value => keywordTypes[name] === typeOf(value)))
  if (other !== undefined) throw refuse(`${path}.${other}`, `cannot be combined with ${keyword}`, schema[other])
  for (const name of limits) {
    if (typeof schema[name] !== 'number') throw refuse(`${path}.${name}`, 'must be a number', schema[name])
  }
  const kept = values.filter(value => limits.every(name => limitsOf[name]!(value, schema[name] as number)))
  if (kept.length === 0) {
    throw refuse(`${path}.${keyword}`, `must have a value that ${limits.join(', ')} accept`, schema[keyword])
  }
  return [...new Map(kept.map(value => [canonical(value), stringifyOrdered(value)])).values()]
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
