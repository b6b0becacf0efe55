/** A JSON Schema as a document: finds what its references point to. Knows no grammars. */
import { isObject, refuse } from '../validation.js'
import { checkKeywords, restricts, schemasIn, type Schema } from './schema-keywords.js'

/** References that one may lead through. */
const maxReferenceSteps = 64
/** Schemas that one may be put together from. */
const maxParts = 256

const pointer = (reference: string): string[] => reference.slice(1).split('/').slice(1)
  .map(segment => decodeURIComponent(segment).replaceAll('~1', '/').replaceAll('~0', '~'))

/** A schema and its place. */
interface Part { readonly schema: unknown, readonly path: string }

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

  /**
   * The schemas that all hold where one does: its own keywords, and those behind its `$ref` and `allOf`, in their
   * order, each without these two.
   * @throws RequestError for one of them that is no schema, or is its own part
   */
  parts (schema: Schema, path: string): Schema[] {
    const parts: Schema[] = []
    const open: Part[] = [{ schema, path }]
    for (let steps = 0, next = open.pop(); next; steps++, next = open.pop()) {
      if (steps > maxParts) throw refuse(path, `is put together from more than ${maxParts} schemas, or from itself`, schema)
      if (next.schema === true) continue
      if (next.schema === false) throw refuse(next.path, 'accepts no value', false)
      if (!isObject(next.schema)) {
        throw refuse(next.path, 'must be a JSON Schema: an object, true or false', next.schema)
      }
      checkKeywords(next.schema, next.path)
      const inside = this.#inside(next.schema, next.path)
      if (inside) open.push(...inside.reverse())
      else if (Object.keys(next.schema).some(restricts)) parts.push(next.schema)
    }
    return parts
  }

  /** What a schema is put together from; null where that is itself alone. */
  #inside (schema: Schema, path: string): Part[] | null {
    const { $ref, allOf, ...own } = schema
    if ($ref === undefined && allOf === undefined) return null
    const keywords = Object.keys(schema)
    const others = allOf === undefined ? [] : schemasIn(schema, 'allOf', path)
    const places: Array<readonly [number, Part]> = others.map((one, index) =>
      [keywords.indexOf('allOf'), { schema: one, path: `${path}.allOf[${index}]` }])
    if ($ref !== undefined) {
      places.push([keywords.indexOf('$ref'),
        { schema: this.resolve($ref, `${path}.$ref`), path: this.placeOf($ref as string) }])
    }
    // Properties come in the order in which the schema has them.
    if (Object.keys(own).some(restricts)) places.push([keywords.indexOf('properties'), { schema: own, path }])
    return places.sort(([a], [b]) => a - b).map(([, part]) => part)
  }

  /** A schema behind its references; one of no keywords where that is none. */
  followed (schema: unknown, path: string): Schema {
    let followed = schema
    for (let steps = 0; isObject(followed) && '$ref' in followed && steps < maxReferenceSteps; steps++) {
      followed = this.resolve(followed['$ref'], path)
    }
    return isObject(followed) ? followed : {}
  }
}
