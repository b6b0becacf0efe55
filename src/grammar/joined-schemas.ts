/**
 * Several schemas as one that accepts what all of them accept: those of `allOf`, and the keywords beside `$ref`,
 * `anyOf` and `oneOf`. What cannot be joined exactly is refused by name.
 */
import { orderedKeys, orderedObject } from './ordered-json.js'
import { isObject, refuse } from '../validation.js'
import {
  appliesTo, canonical, isOfType, restricts, typesOf, valuesIn, type Schema, type TypeName
} from './schema-keywords.js'

const isNumber = (value: unknown): value is number => typeof value === 'number'

/** The narrower of two limits; of what is no number one, which its reader refuses. */
const narrower = (pick: (...numbers: number[]) => number) => (one: unknown, other: unknown): unknown =>
  isNumber(one) && isNumber(other) ? pick(one, other) : isNumber(one) ? other : one

const least = narrower(Math.min)
const most = narrower(Math.max)

/** How two values of a keyword are joined, where that is simple. */
const simple: Readonly<Record<string, (one: unknown, other: unknown) => unknown>> = {
  minLength: most,
  minItems: most,
  minimum: most,
  exclusiveMinimum: most,
  maxLength: least,
  maxItems: least,
  maximum: least,
  exclusiveMaximum: least,
  required: (one, other) => Array.isArray(one) && Array.isArray(other) ? [...new Set([...one, ...other])] : one,
  items: (one, other) => bothHold(one, other)
}

/** A schema that says that two hold. */
const bothHold = (one: unknown, other: unknown): unknown =>
  one === true ? other : other === true || one === other ? one : { allOf: [one, other] }

/** Types that two schemas have in common. */
function commonTypes (one: Schema, other: Schema, path: string): TypeName[] {
  const [types, others] = [typesOf({ type: one['type'] }, path)!, typesOf({ type: other['type'] }, path)!]
  const common = [...types, ...others].filter(type => [types, others].every(list =>
    list.includes(type) || (type === 'integer' && list.includes('number'))))
  if (common.length === 0) throw refuse(`${path}.type`, `has nothing in common with ${types.join(', ')}`, other['type'])
  return [...new Set(common)]
}

function typeOfBoth (one: Schema, other: Schema, path: string): readonly TypeName[] | null {
  if ('type' in one && 'type' in other) return commonTypes(one, other, path)
  const [schema] = [one, other].filter(side => 'type' in side)
  return schema ? typesOf({ type: schema['type'] }, path) : null
}

/** The values that one schema lists and the other does not exclude. */
function commonValues (one: Schema, other: Schema, path: string): readonly unknown[] | null {
  const [values, others] = [valuesIn(one, path), valuesIn(other, path)]
  if (!values && !others) return null
  const texts = others && values ? new Set(others.map(canonical)) : null
  const types = [one, other].flatMap(schema =>
    schema['type'] === undefined ? [] : [typesOf({ type: schema['type'] }, path)!])
  const common = (values ?? others)!.filter(value =>
    (!texts || texts.has(canonical(value))) && types.every(list => isOfType(value, list)))
  if (common.length === 0) throw refuse(path, 'accepts no value: what its parts list has nothing in common', others)
  return common
}

const propertiesIn = ({ properties }: Schema): Schema => isObject(properties) ? properties : {}

/**
 * The properties of two objects together. Where one has a property and the other does not, it is what the other says of
 * all others, too; one that those forbid is left out.
 */
function commonProperties (one: Schema, other: Schema): Schema {
  const sides = [one, other] as const
  const names = new Set(sides.flatMap(side => orderedKeys(propertiesIn(side))))
  const joined: Array<[string, unknown]> = []
  for (const name of names) {
    const parts: unknown[] = sides.map(side => Object.hasOwn(propertiesIn(side), name)
      ? propertiesIn(side)[name]
      : side['additionalProperties'] ?? true)
    if (!parts.includes(false)) joined.push([name, bothHold(parts[0], parts[1])])
  }
  return orderedObject(joined)
}

function joinedObject (one: Schema, other: Schema, path: string): Schema {
  const others = [one, other].flatMap(({ additionalProperties }) =>
    additionalProperties === undefined ? [] : [additionalProperties as unknown])
  const hasProperties = 'properties' in one || 'properties' in other
  for (const side of [one, other]) {
    if ('properties' in side && !isObject(side['properties'])) {
      throw refuse(`${path}.properties`, 'must be an object whose values are schemas', side['properties'])
    }
  }
  return {
    ...(hasProperties ? { properties: commonProperties(one, other) } : {}),
    ...(others.length === 0
      ? {}
      : { additionalProperties: others.includes(false) ? false : others.reduce(bothHold) })
  }
}

/** Keywords that are joined together with others. */
const together = ['type', 'enum', 'const', 'properties', 'additionalProperties']

/** @throws RequestError naming the keyword, for one that both have and that cannot be joined */
function joined (one: Schema, other: Schema, path: string): Schema {
  const result: Record<string, unknown> = {}
  for (const keyword of new Set([...Object.keys(one), ...Object.keys(other)])) {
    if (!restricts(keyword) || together.includes(keyword)) continue
    if (!(keyword in one) || !(keyword in other)) result[keyword] = keyword in one ? one[keyword] : other[keyword]
    else if (Object.hasOwn(simple, keyword)) result[keyword] = simple[keyword]!(one[keyword], other[keyword])
    else if (canonical(one[keyword]) === canonical(other[keyword])) result[keyword] = one[keyword]
    else {
      throw refuse(`${path}.${keyword}`, `cannot be combined with another ${keyword}: merge the schemas into one`,
        other[keyword])
    }
  }
  if ('prefixItems' in result && ('items' in one) !== ('items' in other)) {
    throw refuse(`${path}.items`, 'cannot be combined with prefixItems of another schema: merge the schemas into one',
      result['items'])
  }
  const values = commonValues(one, other, path)
  const type = typeOfBoth(one, other, path)
  const all = { ...result, ...joinedObject(one, other, path) }
  return {
    // What one says of values of a type that the other excludes says nothing.
    ...Object.fromEntries(Object.entries(all).filter(([keyword]) => !type || appliesTo(keyword, type))),
    ...(type ? { type } : {}),
    ...(values ? { enum: values } : {})
  }
}

/** Schemas without references and `allOf` of their own, as one. @param path for errors */
export const joinSchemas = (schemas: readonly Schema[], path: string): Schema =>
  schemas.reduce((one, other) => joined(one, other, path))
