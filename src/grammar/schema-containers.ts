/** Reads what a JSON Schema says of arrays and objects, as plain data. Knows no grammars. */
import { orderedKeys } from './ordered-json.js'
import { isObject, refuse } from '../validation.js'
import { restricts, valuesIn, type Schema } from './schema-keywords.js'

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

/** The names that `propertyNames` allows; null is any. */
function namesAllowed ({ propertyNames }: Schema, path: string, follow: Follow): readonly string[] | null {
  if (propertyNames === undefined || propertyNames === true) return null
  const schema = isObject(propertyNames) ? follow(propertyNames) : null
  const keywords = schema && Object.keys(schema).filter(restricts)
  if (!keywords || keywords.some(keyword => !['type', 'enum', 'const'].includes(keyword)) ||
    (schema!['type'] !== undefined && schema!['type'] !== 'string')) {
    throw refuse(`${path}.propertyNames`, 'is supported with type string, enum and const only', propertyNames)
  }
  const values = valuesIn(schema!, `${path}.propertyNames`)
  if (values?.some(value => typeof value !== 'string')) {
    throw refuse(`${path}.propertyNames`, 'must list strings', propertyNames)
  }
  return values as readonly string[] | null
}

/** The schema behind references. */
export type Follow = (schema: unknown) => Schema

/** An object's properties in order, those that are only required at the end, and what all others are; false is none. */
export interface ObjectShape {
  readonly names: readonly string[]
  readonly properties: Schema
  readonly required: ReadonlySet<string>
  readonly others: unknown
}

/** What an object's keywords say. @param follow for the names that a definition lists */
export function propertiesOf (schema: Schema, path: string, follow: Follow): ObjectShape {
  const { properties = {}, required = [], additionalProperties, patternProperties = {} } = schema
  if (!isObject(properties)) {
    throw refuse(`${path}.properties`, 'must be an object whose values are schemas', properties)
  }
  if (!Array.isArray(required) || required.some(name => typeof name !== 'string')) {
    throw refuse(`${path}.required`, 'must be a list of property names', required)
  }
  if (!isObject(patternProperties) || Object.keys(patternProperties).length > 0) {
    throw refuse(`${path}.patternProperties`, 'is not supported unless it is empty', patternProperties)
  }
  const own = new Set([...orderedKeys(properties), ...required as string[]])
  // Where properties are described, others are allowed only if the schema says so.
  const others = additionalProperties ?? (own.size === 0)
  const missing = others === false ? [...own].find(name => !Object.hasOwn(properties, name)) : undefined
  if (missing !== undefined) throw refuse(`${path}.required`, 'must name properties of the schema', missing)
  const shape = { names: [...own], properties, required: new Set(required as string[]), others }
  const allowed = namesAllowed(schema, path, follow)
  return allowed === null ? shape : withNames(shape, allowed, path)
}

/** The shape of an object whose every name is one of some: those that are not described are as all others are. */
function withNames (shape: ObjectShape, allowed: readonly string[], path: string): ObjectShape {
  const known = new Set(allowed)
  const odd = shape.names.find(name => !known.has(name))
  if (odd !== undefined) throw refuse(`${path}.propertyNames`, `must allow the property ${odd}`, allowed)
  const names = shape.others === false
    ? shape.names
    : [...new Set([...orderedKeys(shape.properties), ...allowed])]
  const properties = Object.fromEntries(names.map(name =>
    [name, Object.hasOwn(shape.properties, name) ? shape.properties[name] : shape.others]))
  return { names, properties, required: shape.required, others: false }
}
