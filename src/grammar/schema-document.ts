/**
 * A JSON Schema as a document: finds what its references point to, and tells whether two places in it can accept the
 * same value. Knows no grammars.
 */
import { isObject, refuse } from '../validation.js'
import { typeOf, typesOf, type Schema, type TypeName } from './schema-keywords.js'

/** References that one may lead through. */
const maxReferenceSteps = 64

const requiredOf = ({ required }: Schema): readonly string[] => Array.isArray(required) ? required : []

/** The scalars that a schema lists; null where it lists none, or others. */
function valuesOf (schema: Schema): readonly unknown[] | null {
  const values = schema['const'] !== undefined ? [schema['const']] : schema['enum']
  return Array.isArray(values) && values.every(value => typeof value !== 'object' || value === null) ? values : null
}

/** The types of the values that a schema accepts; null is any. */
function typesAccepted (schema: Schema): readonly TypeName[] | null {
  const values = schema['const'] !== undefined ? [schema['const']] : schema['enum']
  return Array.isArray(values) ? [...new Set(values.map(typeOf))] : typesOf(schema, '')
}

const pointer = (reference: string): string[] => reference.slice(1).split('/').slice(1)
  .map(segment => decodeURIComponent(segment).replaceAll('~1', '/').replaceAll('~0', '~'))

/** One schema, with all the schemas inside it. */
export class SchemaDocument {
  readonly root: unknown
  readonly path: string

  /** @param path what the caller calls the schema, for errors */
  constructor (root: unknown, path: string) {
    this.root = root
    this.path = path
  }

  /** What errors call the place that a reference points to. */
  placeOf (reference: string): string { return [this.path, ...pointer(reference)].join('.') }

  /** What `$ref` points to. @param path where it stands. @throws RequestError where that is nothing, or lies outside */
  resolve (reference: unknown, path: string): unknown {
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) {
      throw refuse(path, 'must be a reference within the schema: # or #/$defs/NAME', reference)
    }
    let found: unknown = this.root
    try {
      for (const segment of pointer(reference)) {
        found = typeof found === 'object' && found !== null && Object.hasOwn(found, segment)
          ? (found as Schema)[segment]
          : undefined
      }
    } catch {
      // A broken percent encoding names nothing.
      found = undefined
    }
    if (found === undefined) throw refuse(path, 'does not resolve within the schema', reference)
    return found
  }

  /** Refuses schemas of a oneOf that one value may fit two of: exactly one holds where no two can. */
  checkDisjoint (schemas: readonly unknown[], path: string): void {
    for (const [index, one] of schemas.entries()) {
      const other = schemas.slice(0, index).findIndex(before => !this.#areDisjoint(one, before, path))
      if (other >= 0) {
        throw refuse(`${path}[${index}]`, `must differ from ${path}[${other}] in type, or in a required property ` +
          'with const or enum; otherwise use anyOf', one)
      }
    }
  }

  #areDisjoint (a: unknown, b: unknown, path: string): boolean {
    const [one, other] = [this.#followed(a, path), this.#followed(b, path)]
    const [types, otherTypes] = [one, other].map(schema => typesAccepted(schema))
    if (types && otherTypes && !types.some(type => otherTypes.includes(type) || (type === 'integer' &&
      otherTypes.includes('number')) || (type === 'number' && otherTypes.includes('integer')))) return true
    const [values, otherValues] = [valuesOf(one), valuesOf(other)]
    if (values && otherValues) return !values.some(value => otherValues.includes(value))
    if (types?.join() !== 'object' || otherTypes?.join() !== 'object') return false
    const both = requiredOf(one).filter(name => requiredOf(other).includes(name))
    return both.some(name => {
      const [tags, otherTags] =
        [one, other].map(schema => valuesOf(this.#followed((schema['properties'] as Schema)?.[name], path)))
      return tags && otherTags && !tags.some(tag => otherTags.includes(tag))
    })
  }

  /** A schema behind its references. */
  #followed (schema: unknown, path: string): Schema {
    let followed = schema
    for (let steps = 0; isObject(followed) && '$ref' in followed && steps < maxReferenceSteps; steps++) {
      followed = this.resolve(followed['$ref'], path)
    }
    return isObject(followed) ? followed : {}
  }
}
