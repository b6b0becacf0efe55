/**
 * Tells whether one value can satisfy two schemas of a `oneOf`: exactly one holds where no two can. Each schema is
 * compared with all before it at once, by what they have in common, not one by one.
 */
import { isObject, refuse } from '../validation.js'
import { typeOf, typesOf, type Schema, type TypeName } from './schema-keywords.js'

/** Pairs of objects that may be compared one by one, where no property tells them all apart. */
const maxPairs = 262_144

const requiredOf = ({ required }: Schema): readonly string[] =>
  Array.isArray(required) ? required.filter(name => typeof name === 'string') : []

/** The scalars that a schema lists; null where it lists none, or others. */
function scalarsOf (schema: Schema): readonly unknown[] | null {
  const values = schema['const'] !== undefined ? [schema['const']] : schema['enum']
  return Array.isArray(values) && values.every(value => typeof value !== 'object' || value === null) ? values : null
}

/** The types of the values that a schema accepts; null is any. */
function typesAccepted (schema: Schema): readonly TypeName[] | null {
  const values = schema['const'] !== undefined ? [schema['const']] : schema['enum']
  return Array.isArray(values) ? [...new Set(values.map(typeOf))] : typesOf(schema, '')
}

const allTypes = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const

/** Types that have values in common with one. */
const overlapping = (type: TypeName): readonly TypeName[] =>
  type === 'integer' || type === 'number' ? ['integer', 'number'] : [type]

/** An object's required properties that list values: name → values. */
type Tags = ReadonlyMap<string, ReadonlySet<unknown>>

const areApart = (one: Tags, other: Tags): boolean => [...one].some(([name, values]) => {
  const others = other.get(name)
  return others !== undefined && ![...values].some(value => others.has(value))
})

/** What some objects' property of one name says: which values, in how many objects. */
interface Tagged { count: number, readonly values: Set<unknown> }

/** It cannot be told in bounded time. */
class TooManyPairs extends Error {}

/** What was seen of the schemas so far; numbers are their places in the list. */
class Seen {
  readonly #scalars = new Map<unknown, number>()
  /** Schemas that list scalars, and those of any value of a type, objects apart. */
  readonly #listing = new Map<TypeName, number>()
  readonly #open = new Map<TypeName, number>()
  readonly #objects: Array<{ readonly index: number, readonly tags: Tags }> = []
  readonly #tagged = new Map<string, Tagged>()
  #pairs = 0

  /** A schema that lists scalars. @returns one before that accepts one of them, or undefined */
  addScalars (scalars: readonly unknown[], types: readonly TypeName[], index: number): number | undefined {
    const equal = scalars.find(value => this.#scalars.has(value))
    const before = equal === undefined ? this.#ofTypes(types, this.#open) : this.#scalars.get(equal)
    for (const value of scalars) this.#scalars.set(value, index)
    this.#note(types, this.#listing, index)
    return before
  }

  /** A schema of all values of some types. @returns one before that accepts one of them, or undefined */
  addTypes (types: readonly TypeName[], index: number): number | undefined {
    const before = this.#ofTypes(types, this.#listing) ?? this.#ofTypes(types, this.#open) ??
      (types.includes('object') ? this.#objects[0]?.index : undefined)
    this.#note(types, this.#open, index)
    return before
  }

  /**
   * A schema of objects.
   * @returns one before that may accept the same object, or undefined
   * @throws TooManyPairs
   */
  addObject (tags: Tags, index: number): number | undefined {
    const before = this.#listing.get('object') ?? this.#open.get('object') ?? this.#notApart(tags)
    this.#objects.push({ index, tags })
    for (const [name, values] of tags) {
      const tagged = this.#tagged.get(name) ?? { count: 0, values: new Set() }
      this.#tagged.set(name, tagged)
      tagged.count++
      for (const value of values) tagged.values.add(value)
    }
    return before
  }

  #ofTypes (types: readonly TypeName[], map: ReadonlyMap<TypeName, number>): number | undefined {
    return types.flatMap(overlapping).map(type => map.get(type)).find(index => index !== undefined)
  }

  #note (types: readonly TypeName[], map: Map<TypeName, number>, index: number): void {
    for (const type of types) if (!map.has(type)) map.set(type, index)
  }

  /** One property may tell an object apart from all before it; else it is compared with each. */
  #notApart (tags: Tags): number | undefined {
    for (const [name, values] of tags) {
      const tagged = this.#tagged.get(name)
      const isApart = tagged?.count === this.#objects.length && ![...values].some(value => tagged.values.has(value))
      if (isApart) return undefined
    }
    this.#pairs += this.#objects.length
    if (this.#pairs > maxPairs) throw new TooManyPairs()
    return this.#objects.find(other => !areApart(tags, other.tags))?.index
  }
}

/** @param follow the schema behind references */
function tagsOf (schema: Schema, follow: (schema: unknown) => Schema): Tags {
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  const tags = new Map<string, ReadonlySet<unknown>>()
  for (const name of requiredOf(schema)) {
    const values = Object.hasOwn(properties, name) ? scalarsOf(follow(properties[name])) : null
    if (values) tags.set(name, new Set(values))
  }
  return tags
}

function add (seen: Seen, schema: Schema, follow: (schema: unknown) => Schema, index: number): number | undefined {
  const types = typesAccepted(schema) ?? allTypes
  const scalars = scalarsOf(schema)
  if (scalars) return seen.addScalars(scalars, types, index)
  return types.join() === 'object' ? seen.addObject(tagsOf(schema, follow), index) : seen.addTypes(types, index)
}

/**
 * Refuses schemas of a oneOf that one value may satisfy two of.
 * @param follow the schema behind references
 */
export function checkDisjoint (
  schemas: readonly unknown[], path: string, follow: (schema: unknown) => Schema
): void {
  const seen = new Seen()
  for (const [index, one] of schemas.entries()) {
    let before: number | undefined
    try {
      before = add(seen, follow(one), follow, index)
    } catch (error) {
      if (!(error instanceof TooManyPairs)) throw error
      throw refuse(`${path}[${index}]`, 'must be told apart from all others by one required property with const or ' +
        'enum, of so many; otherwise use anyOf', one)
    }
    if (before !== undefined) {
      throw refuse(`${path}[${index}]`, `must differ from ${path}[${before}] in type, or in a required property ` +
        'with const or enum; otherwise use anyOf', one)
    }
  }
}
