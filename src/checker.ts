/**
 * Checks plain data against a TypeBox schema with Ajv, after one walk that is the same for everything: null is absent,
 * defaults are filled in, fields that an object does not have are refused where it is closed
 * (`additionalProperties: false`) and else left out and named. Objects without declared fields or values are the
 * caller's own: nothing in them is touched. Why Ajv: its `discriminator` reports the errors of the one kind of object
 * that is meant, where TypeBox's checker reports those of every alternative; and Fastify loads it anyway.
 */
import { createRequire } from 'node:module'
import type { Ajv, ErrorObject, ValidateFunction } from 'ajv'
import {
  Type, type Static, type TNull, type TObject, type TOptional, type TSchema, type TSchemaOptions, type TUnion,
  type TUnsafe
} from 'typebox'
import type { RequestError } from './errors.js'
import { describeRule, isObject, isScalar, refuse, unknownField, type Rules } from './validation.js'

/** Marks a part of a schema whose values have a reader of their own; holds their JSON type. */
const apart = 'x-checked-apart'

/** Longest name of a field that is told again, characters. */
const maxNameLength = 64

const load = createRequire(import.meta.url)

/**
 * One Ajv for texts that may be numbers and one for those that may not, made when something is to be checked: most
 * commands have nothing, and start sooner without it. The schemas are ours: they need not be checked themselves.
 */
const checkers = new Map<boolean, Ajv>()

function checkerFor (coerceTypes: boolean): Ajv {
  const known = checkers.get(coerceTypes)
  if (known) return known
  const { Ajv } = load('ajv') as typeof import('ajv')
  const options = { discriminator: true, verbose: true, strictTypes: false, meta: false, validateSchema: false }
  const made = new Ajv({ ...options, coerceTypes })
  checkers.set(coerceTypes, made)
  return made
}

const compiled = (schema: object, coerceTypes: boolean): ValidateFunction => checkerFor(coerceTypes).compile(schema)

/** A field whose value, of the schema's type, is passed on as it is to a reader of its own; the schema describes it. */
export const checkedApart = <T>(schema: object, type: 'object' | 'array'): TUnsafe<T> =>
  Type.Unsafe<T>({ ...schema, [apart]: type })

/** One of several kinds of object, told apart by a constant field. */
export const kinds = <T extends TObject[]>(
  tag: string, options: readonly [...T], more: TSchemaOptions = {}
): TUnsafe<Static<T[number]>> =>
    Type.Unsafe({ type: 'object', oneOf: options, discriminator: { propertyName: tag }, ...more })

/** An object of the caller's own. */
export const anyObject = (more: TSchemaOptions = {}): TUnsafe<Record<string, unknown>> =>
  Type.Unsafe({ type: 'object', ...more })

/** A field that would change what is meant and is not supported. @param advice what to say here */
export const unsupported = (advice: string): TOptional<TUnsafe<undefined>> =>
  Type.Optional(Type.Unsafe<undefined>({ not: {}, description: advice }))

/** A field that may be left out. */
export const nullable = <T extends TSchema> (schema: T, more: TSchemaOptions = { default: null }): TUnion<[T, TNull]> =>
  Type.Union([schema, Type.Null()], more)

/** The schema as Ajv compiles it: fields that are checked apart are of any content. */
function compiledForm (schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(compiledForm)
  if (!isObject(schema)) return schema
  if (typeof schema[apart] === 'string') return { type: schema[apart] }
  return Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, compiledForm(value)]))
}

const typeOf = (value: unknown): string => Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value

const isOfType = (rules: Rules, type: string): boolean => rules[apart] === undefined && rules.anyOf
  ? rules.anyOf.some(one => isOfType(one, type))
  : (rules[apart] ?? rules.type) === type

/** The alternative that a value is meant to be: by the constant that says so, or by its JSON type. */
function alternativeOf (rules: Rules, value: unknown): Rules {
  if (rules[apart] !== undefined) return rules
  const tag = rules.discriminator?.propertyName
  const meant = tag === undefined
    ? rules.anyOf?.find(one => isOfType(one, typeOf(value)))
    : isObject(value) && taggedAlternative(rules.oneOf!, tag, value)
  return meant ? alternativeOf(meant, value) : rules
}

/** The kind of object that a tag names; where it is absent, the one it may be absent of, the first that is whole. */
function taggedAlternative (options: readonly Rules[], tag: string, value: Record<string, unknown>): Rules | undefined {
  const given = value[tag] ?? null
  if (given !== null) return options.find(({ properties }) => properties![tag]!.const === given)
  const untagged = options.filter(({ properties }) => properties![tag]!.default !== undefined)
  return untagged.find(({ required = [] }) => required.every(name => name === tag || (value[name] ?? null) !== null)) ??
    untagged[0]
}

const holdsObjects = ({ properties, items, anyOf, oneOf }: Rules): boolean =>
  properties !== undefined || (items !== undefined && holdsObjects(items)) || (anyOf ?? oneOf ?? []).some(holdsObjects)

/** Decides on a field of the outermost object that its schema does not have. @returns whether it is named as ignored */
export type UnknownRule = (name: string, value: unknown) => boolean

/** Whether null is a value of its own: where it is told as it was given, since no default stands for it. */
const keepsNull = (rules: Rules | null): boolean =>
  rules !== null && rules.default === undefined && isOfType(rules, 'null')

/** One walk through a value, before it is checked. */
class Walk {
  readonly ignored = new Set<string>()
  readonly #unknown: UnknownRule

  constructor (unknown: UnknownRule) { this.#unknown = unknown }

  prepare (rules: Rules, value: unknown, path: string): unknown {
    const own = alternativeOf(rules, value)
    if (own[apart] !== undefined) return value
    if (isObject(value) && own.properties) return this.fields(own, value, path, () => true)
    // A map: its names are the caller's, its values are not.
    if (isObject(value) && isObject(own.additionalProperties)) return withoutNulls(value)
    if (!Array.isArray(value) || !own.items || !holdsObjects(own.items)) return value
    return value.map((item, index) => this.prepare(own.items!, item, `${path}[${index}]`))
  }

  /** Fields in their order without those that are null or unknown, then those with defaults. */
  fields (
    { properties = {}, additionalProperties }: Rules, value: Record<string, unknown>, path: string,
    unknown = this.#unknown
  ): Record<string, unknown> {
    const fields: Record<string, unknown> = {}
    for (const [name, given] of Object.entries(value)) {
      const rules = Object.hasOwn(properties, name) ? properties[name]! : null
      if (given === undefined || (given === null && !keepsNull(rules))) continue
      const place = inside(path, name)
      if (rules?.not) throw refuse(place, `is not a field here: ${rules.description}`, given)
      if (rules) fields[name] = this.prepare(rules, given, place)
      else if (additionalProperties === false) throw unknownField(place, name, Object.keys(properties))
      else if (unknown(name, given)) this.ignored.add(place.replaceAll(/\[\d+\]/g, ''))
    }
    for (const [name, { default: value }] of Object.entries(properties)) {
      if (value !== undefined && !Object.hasOwn(fields, name)) fields[name] = structuredClone(value)
    }
    return fields
  }
}

/** A path with one more name; of a name that a caller made up no more than this is told. */
function inside (path: string, name: string): string {
  const shown = name.length > maxNameLength ? `${name.slice(0, maxNameLength)}…` : name
  return path === '' ? shown : `${path}.${shown}`
}

const withoutNulls = (map: Record<string, unknown>): Record<string, unknown> =>
  Object.values(map).includes(null)
    ? Object.fromEntries(Object.entries(map).filter(([, value]) => value !== null))
    : map

/** Where an error is, as callers write it: `messages[0].role`. */
function pathOf (pointer: string, root: unknown, path: string): string {
  let at = root
  for (const segment of pointer.split('/').slice(1)) {
    const name = segment.replaceAll('~1', '/').replaceAll('~0', '~')
    path = Array.isArray(at) ? `${path}[${name}]` : inside(path, name)
    at = (at as Record<string, unknown>)[name]
  }
  return path
}

const valueAt = (root: unknown, pointer: string): unknown => pointer.split('/').slice(1)
  .reduce((at, name) => (at as Record<string, unknown>)[name], root)

/** Where an error is told: one of an item that is no object is told of its list. */
function placeOf ({ instancePath, parentSchema }: ErrorObject, root: unknown): string {
  if (!isScalar(parentSchema as Rules)) return instancePath
  const list = instancePath.slice(0, instancePath.lastIndexOf('/'))
  return Array.isArray(valueAt(root, list))
    ? placeOf({ instancePath: list, parentSchema } as ErrorObject, root)
    : instancePath
}

/** Keywords whose errors are about a field or a name inside of the object where they are. */
const inner = ['required', 'discriminator', 'propertyNames']

/** The error that says most: of alternatives the one that got furthest, where one got further than the others. */
function mostTelling (errors: readonly ErrorObject[], root: unknown): ErrorObject {
  const last = errors.at(-1)!
  if (last.keyword !== 'anyOf') return last
  const depth = (error: ErrorObject): number =>
    placeOf(error, root).split('/').length + (inner.includes(error.keyword) ? 1 : 0)
  return errors.reduce((best, one) => depth(one) >= depth(best) ? one : best, last)
}

/** An error of Ajv in the API's words. */
function refusal (errors: readonly ErrorObject[], root: unknown, outer: string): RequestError {
  const error = mostTelling(errors, root)
  const rules = error.parentSchema as Rules
  const place = placeOf(error, root)
  const path = pathOf(place, root, outer)
  switch (error.keyword) {
    case 'required': {
      const name = String(error.params['missingProperty'])
      return refuse(inside(path, name), `must be ${describeRule(rules.properties![name]!)}`, undefined)
    }
    case 'discriminator': {
      const tag = String(error.params['tag'])
      const names = rules.oneOf!.map(({ properties }) => String(properties![tag]!.const))
      return refuse(inside(path, tag), `must be one of ${names.join(', ')}`, error.params['tagValue'])
    }
    case 'propertyNames': return refuse(path, `must have names that are ${describeRule(rules.propertyNames!)}`,
      error.params['propertyName'])
    default: return place === error.instancePath
      ? refuse(path, `must be ${describeRule(rules)}`, error.data)
      : refuse(path, `must be a list, each ${describeRule(rules)}`, valueAt(root, place))
  }
}

/** A checked value, and the fields that its schema does not have, by path without indices. */
export interface Checked<T> { readonly value: T, readonly ignored: readonly string[] }

/** How an object is checked. */
export interface CheckerOptions {
  readonly unknown?: UnknownRule
  /** Whether texts that write numbers and truth values are read as such: for query strings. */
  readonly coerce?: boolean
}

/** Checks objects against one schema, which is compiled once. */
export class Checker<S extends TObject> {
  readonly schema: S
  readonly #unknown: UnknownRule
  readonly #coerce: boolean
  #validate: ValidateFunction | null = null

  constructor (schema: S, { unknown = () => true, coerce = false }: CheckerOptions = {}) {
    this.schema = schema
    this.#unknown = unknown
    this.#coerce = coerce
  }

  /** To be called at start, so that the first request does not wait for it. */
  compile (): ValidateFunction {
    return (this.#validate ??= compiled(compiledForm(this.schema) as object, this.#coerce))
  }

  /**
   * The fields of an object, checked, defaults filled in.
   * @param path name of the object, '' for a request's body
   * @throws RequestError naming the field, the rule and the value; for an unknown field the nearest known one
   */
  read (value: unknown, path = ''): Checked<Static<S>> {
    if (!isObject(value)) {
      throw path === '' ? refuse('body', 'must be a JSON object', value) : refuse(path, 'must be an object', value)
    }
    const walk = new Walk(this.#unknown)
    const fields = walk.fields(this.schema as Rules, value, path)
    const validate = this.compile()
    if (!validate(fields)) throw refusal(validate.errors!, fields, path)
    return { value: fields as Static<S>, ignored: [...walk.ignored] }
  }

  /** The same for objects that are closed at every depth. */
  check (value: unknown, path = ''): Static<S> { return this.read(value, path).value }
}
