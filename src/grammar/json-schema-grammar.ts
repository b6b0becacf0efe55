/**
 * From a JSON Schema (2020-12) to a grammar whose every text is JSON that the schema accepts. Of an object's properties
 * the order is that of the schema. Knows no tokens; what a schema says is read by `schema-keywords.ts`.
 */
import { isObject, refuse } from '../validation.js'
import { choice, GrammarTooLarge, Rules, sequence, text, type Expression } from './ebnf.js'
import { arrayOf, objectOf } from './json-containers.js'
import {
  anyArray, anyObject, anyValue, formats, maxBoundedLength, property, propertyExcept, string
} from './json-text.js'
import { anyInteger, anyNumber, integersBetween, maxInteger, numbersBetween } from './numbers.js'
import { checkDisjoint } from './disjoint-schemas.js'
import { joinSchemas } from './joined-schemas.js'
import { oneText } from './prefix-tree.js'
import { itemsOf, propertiesOf } from './schema-containers.js'
import { SchemaDocument } from './schema-document.js'
import {
  acceptedValues, bounds, checkKeywords, combiningIn, schemasIn, sizes, typesOf, valuesIn, type Schema, type TypeName
} from './schema-keywords.js'

/** Limits of one schema, all places in it together, but for depth and items. */
export const schemaLimits = {
  depth: 64, schemas: 4096, properties: 4096, values: 4096, characters: 120_000, items: 4096
} as const

/** What is counted, before anything is made of it. */
const nouns = {
  schemas: 'schemas',
  properties: 'names of properties and required',
  values: 'values of enum',
  characters: 'characters of names and values'
} as const
type Counted = keyof typeof nouns

class GrammarWriter {
  readonly #document: SchemaDocument
  readonly #rules: Rules
  /** What names of its rules begin with. */
  readonly #prefix: string
  readonly #counts: Record<Counted, number> = { schemas: 0, properties: 0, values: 0, characters: 0 }
  /** $ref → number of its rule. */
  readonly #references = new Map<string, number>()

  constructor (rules: Rules, document: SchemaDocument, prefix: string) {
    this.#rules = rules
    this.#document = document
    this.#prefix = prefix
  }

  expression (): Expression {
    const { root: schema, path } = this.#document
    const root = this.#expression(schema, path, 0, new Set())
    const isFinite = this.#rules.finiteness()
    const check = (expression: Expression, place: string, value: unknown): void => {
      if (isFinite(expression)) return
      throw refuse(place, 'must accept at least one finite value; it refers to itself without end', value)
    }
    check(root, path, schema)
    for (const reference of this.#references.keys()) {
      check({ kind: 'rule', name: this.#referenceRule(reference) }, this.#document.placeOf(reference), reference)
    }
    return root
  }

  /** Refuses more than there may be, before it is read. */
  #expect (what: Counted, more: number, path: string): void {
    const count = this.#counts[what] + more
    if (count > schemaLimits[what]) {
      throw refuse(path, `exceeds the limit of ${schemaLimits[what]} ${nouns[what]} per schema`, count)
    }
  }

  #count (what: Counted, more: number, path: string): void {
    this.#expect(what, more, path)
    this.#counts[what] += more
  }

  /**
   * What a schema accepts.
   * @param open references that lead here without anything written in between
   */
  #expression (schema: unknown, path: string, depth: number, open: ReadonlySet<string>): Expression {
    this.#count('schemas', 1, path)
    if (depth > schemaLimits.depth) throw refuse(path, `is nested more than ${schemaLimits.depth} schemas deep`, depth)
    if (schema === true) return anyValue(this.#rules)
    if (schema === false) throw refuse(path, 'accepts no value', false)
    if (!isObject(schema)) throw refuse(path, 'must be a JSON Schema: an object, true or false', schema)
    checkKeywords(schema, path)
    const { combining, isAlone } = combiningIn(schema)
    if (combining) return this.#combined(combining, isAlone, schema, path, depth, open)
    const values = valuesIn(schema, path)
    if (values) return this.#values(values, schema, path)
    const types = typesOf(schema, path)
    if (!types) return anyValue(this.#rules)
    return choice(...types.map(type => this.#ofType(type, schema, path, depth)))
  }

  #combined (
    keyword: '$ref' | 'allOf' | 'anyOf' | 'oneOf', isAlone: boolean, schema: Schema, path: string, depth: number,
    open: ReadonlySet<string>
  ): Expression {
    if (keyword === '$ref' && isAlone) return this.#reference(schema['$ref'], `${path}.$ref`, depth, open)
    if (keyword === 'allOf' && isAlone) {
      const [only, ...others] = schemasIn(schema, 'allOf', path)
      if (others.length === 0) return this.#expression(only, `${path}.allOf[0]`, depth + 1, open)
    }
    if (!isAlone || keyword === 'allOf') return this.#joined(schema, path, depth)
    return this.#options(keyword as 'anyOf' | 'oneOf', schema, null, path, depth, open)
  }

  /** Schemas that all hold, and perhaps one list of which one does. */
  #joined (schema: Schema, path: string, depth: number): Expression {
    const parts = this.#document.parts(schema, path)
    this.#count('schemas', parts.length, path)
    const unions = parts.flatMap(part => (['anyOf', 'oneOf'] as const).flatMap(keyword =>
      keyword in part ? [{ part, keyword }] : []))
    if (unions.length > 1) {
      throw refuse(`${path}.${unions[1]!.keyword}`, `cannot be combined with ${unions[0]!.keyword} that holds too`,
        unions[1]!.part[unions[1]!.keyword])
    }
    const base = joinSchemas(parts.map(({ anyOf: _, oneOf: __, ...others }) => others), path)
    const [union] = unions
    if (!union) return this.#expression(base, path, depth + 1, new Set())
    return this.#options(union.keyword, union.part, base, path, depth, new Set())
  }

  /** @param base what holds beside each option; null where nothing does */
  #options (
    keyword: 'anyOf' | 'oneOf', schema: Schema, base: Schema | null, path: string, depth: number,
    open: ReadonlySet<string>
  ): Expression {
    const place = `${path}.${keyword}`
    const schemas = schemasIn(schema, keyword, path)
    this.#expect('schemas', schemas.length, place)
    if (keyword === 'oneOf') checkDisjoint(schemas, place, one => this.#document.followed(one, place))
    const options = schemas.map((one, index) => this.#expression(
      base && Object.keys(base).length > 0 ? { allOf: [base, one] } : one, `${place}[${index}]`, depth + 1, open))
    return options.length === 1 ? options[0]! : choice(...options.map(option => this.#rules.separate(option)))
  }

  #referenceRule (reference: string): string {
    const number = this.#references.get(reference) ?? this.#references.size
    this.#references.set(reference, number)
    return `${this.#prefix}_ref_${number}`
  }

  #reference (reference: unknown, path: string, depth: number, open: ReadonlySet<string>): Expression {
    const target = this.#document.resolve(reference, path)
    const name = reference as string
    if (open.has(name)) throw refuse(path, 'refers directly to itself', reference)
    return this.#rules.rule(this.#referenceRule(name), () =>
      this.#expression(target, this.#document.placeOf(name), depth + 1, new Set([...open, name])))
  }

  #values (values: readonly unknown[], schema: Schema, path: string): Expression {
    const place = `${path}.${'const' in schema ? 'const' : 'enum'}`
    this.#count('values', values.length, place)
    const written = acceptedValues(values, schema, path)
    this.#count('characters', written.reduce((sum, one) => sum + one.length, 0), place)
    return oneText(this.#rules, written)
  }

  #ofType (type: TypeName, schema: Schema, path: string, depth: number): Expression {
    switch (type) {
      case 'null': return text('null')
      case 'boolean': return choice(text('true'), text('false'))
      case 'string': return this.#string(schema, path)
      case 'integer': return this.#integer(schema, path)
      case 'number': return this.#number(schema, path)
      case 'array': return this.#array(schema, path, depth)
      case 'object': return this.#object(schema, path, depth)
    }
  }

  #string (schema: Schema, path: string): Expression {
    const [min, max] = sizes(schema, ['minLength', 'maxLength'], path, maxBoundedLength)
    const { format } = schema
    if (format === undefined) return string(this.#rules, min, max)
    if (typeof format !== 'string' || !Object.hasOwn(formats, format)) {
      throw refuse(`${path}.format`, `must be one of the supported formats: ${Object.keys(formats).join(', ')}`, format)
    }
    if (schema['minLength'] !== undefined || schema['maxLength'] !== undefined) {
      throw refuse(`${path}.format`, 'cannot be combined with minLength and maxLength', format)
    }
    return this.#rules.rule(`format_${format.replace('-', '_')}`, () =>
      sequence(text('"'), formats[format]!(this.#rules), text('"')))
  }

  #integer (schema: Schema, path: string): Expression {
    const { low, high } = bounds(schema, path)
    if (!low && !high) return anyInteger(this.#rules)
    const min =
      low ? BigInt(Math.ceil(low.value)) + (low.exclusive && Number.isInteger(low.value) ? 1n : 0n) : -maxInteger
    const max = high
      ? BigInt(Math.floor(high.value)) - (high.exclusive && Number.isInteger(high.value) ? 1n : 0n)
      : maxInteger
    return this.#rules.separate(integersBetween(this.#rules, min, max) ?? this.#noneBetween(schema, path))
  }

  #number (schema: Schema, path: string): Expression {
    const { low, high } = bounds(schema, path)
    if (!low && !high) return anyNumber(this.#rules)
    return this.#rules.separate((low && high && low.value > high.value
      ? null
      : numbersBetween(this.#rules, low, high)) ?? this.#noneBetween(schema, path))
  }

  #noneBetween (schema: Schema, path: string): never {
    const keyword = ['maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum'].find(name => name in schema)!
    throw refuse(`${path}.${keyword}`, 'leaves no number within the bounds', schema[keyword])
  }

  #array (schema: Schema, path: string, depth: number): Expression {
    const [min, max] = sizes(schema, ['minItems', 'maxItems'], path, schemaLimits.items)
    const { first, items, isClosed } = itemsOf(schema, path)
    const described = first.map((one, index) =>
      this.#expression(one, `${path}.prefixItems[${index}]`, depth + 1, new Set()))
    const largest = isClosed ? Math.min(max ?? Infinity, first.length) : max ?? Infinity
    if (min > largest) {
      throw refuse(`${path}.minItems`, `must be at most ${largest}, the number of items described`, min)
    }
    if (largest === 0) return text('[]')
    if (first.length === 0 && items === undefined && min === 0 && largest === Infinity) return anyArray(this.#rules)
    const rest = isClosed ? null : this.#expression(items ?? true, `${path}.items`, depth + 1, new Set())
    return arrayOf(this.#rules, described, rest, min, largest)
  }

  #object (schema: Schema, path: string, depth: number): Expression {
    this.#count('properties', sizeOf(schema['required']), `${path}.required`)
    this.#count('properties', sizeOf(schema['properties']), `${path}.properties`)
    const { names, properties, required, others } =
      propertiesOf(schema, path, one => this.#document.followed(one, `${path}.propertyNames`))
    this.#count('characters', names.reduce((sum, name) => sum + name.length, 0), `${path}.properties`)
    if (others === true && names.length === 0) return anyObject(this.#rules)
    const rest =
      others === false ? null : this.#expression(others, `${path}.additionalProperties`, depth + 1, new Set())
    const members = names.map(name => {
      const value = Object.hasOwn(properties, name)
        ? this.#expression(properties[name], `${path}.properties.${name}`, depth + 1, new Set())
        : rest ?? anyValue(this.#rules)
      return { isRequired: required.has(name), value: property(this.#rules, name, value) }
    })
    return objectOf(this.#rules, members, rest === null ? null : propertyExcept(this.#rules, names, rest))
  }
}

const sizeOf = (value: unknown): number => isObject(value) || Array.isArray(value) ? Object.keys(value).length : 0

/**
 * A schema's JSON as part of a grammar.
 * @param path what the caller calls the schema, for errors
 * @param prefix what names of its own rules begin with, where a grammar has several schemas
 * @throws RequestError as `schemaGrammar` does
 */
export function schemaExpression (rules: Rules, schema: unknown, path: string, prefix: string): Expression {
  return refusingTooLarge(path, () => new GrammarWriter(rules, new SchemaDocument(schema, path), prefix).expression())
}

/** @param path what is too large where a grammar is */
export function refusingTooLarge<T> (path: string, write: () => T): T {
  try {
    return write()
  } catch (error) {
    if (error instanceof GrammarTooLarge) throw refuse(path, `${error.message}; make it simpler`, error.count)
    throw error
  }
}

/**
 * The grammar of a schema's JSON.
 * @param path what the caller calls the schema, for errors
 * @throws RequestError naming the place, the rule and the value for what cannot be enforced, is contradictory, endless
 * or too large
 */
export function schemaGrammar (schema: unknown, path: string): string {
  const rules = new Rules()
  const root = schemaExpression(rules, schema, path, 'schema')
  return refusingTooLarge(path, () => rules.print(root))
}

/** The grammar of any JSON object. */
export function objectGrammar (): string {
  const rules = new Rules()
  return rules.print(anyObject(rules))
}
