/**
 * From a JSON Schema (2020-12) to a grammar whose every text is JSON that the schema accepts. What the grammar cannot hold to is refused by
 * name, never passed over. Of an object's properties the order is that of the schema. Knows no tokens.
 */
import { nearestName, refuse } from '../validation.js'
import { choice, oneText, repeat, Rules, sequence, text, type Expression } from './ebnf.js'
import { anyArray, anyObject, anyValue, between, following, formats, mostCounted, property, propertyExcept, string } from './json-text.js'
import { anyInteger, anyNumber, integersBetween, isWritable, largestInteger, numbersBetween, type Bound } from './numbers.js'

type Schema = Readonly<Record<string, unknown>>

/** Limits of one schema, all places in it together. */
const limits = { depth: 64, schemas: 4096, values: 4096, names: 120_000, items: 4096 } as const

const typeNames = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const
type TypeName = (typeof typeNames)[number]

type Counted = 'schemas' | 'values' | 'names'

/** The keywords that are about one type. */
const typeKeywords = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']
} as const

/** Keyword → the type it is about. */
const keywordTypes = Object.fromEntries(Object.entries(typeKeywords).flatMap(([type, keywords]) => keywords.map(keyword => [keyword, type]))) as Readonly<Record<string, TypeName>>

/** Keywords that say all about a value, so that no other may stand beside them. */
const alone = ['$ref', 'anyOf', 'oneOf', 'allOf'] as const

/** Keywords that restrict nothing. */
const annotations: ReadonlySet<string> = new Set(['title', 'description', 'default', 'examples', 'example', 'deprecated', 'readOnly', 'writeOnly', '$comment', '$schema', '$id', '$defs', 'definitions'])

const known = [...Object.keys(keywordTypes), ...alone, 'type', 'enum', 'const']

const isObject = (value: unknown): value is Schema => typeof value === 'object' && value !== null && !Array.isArray(value)

function typeOf (value: unknown): TypeName {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value as 'object' | 'string' | 'boolean'
}

const isOfType = (value: unknown, types: readonly TypeName[]): boolean => {
  const own = typeOf(value)
  return types.includes(own) || (own === 'integer' && types.includes('number'))
}

class SchemaReader {
  readonly #root: unknown
  readonly #path: string
  readonly #rules: Rules
  /** What names of its rules begin with. */
  readonly #prefix: string
  readonly #counts: Record<Counted, number> = { schemas: 0, values: 0, names: 0 }
  /** $ref → number of its rule. */
  readonly #references = new Map<string, number>()

  /** @param path what the caller calls the schema, for errors */
  constructor (rules: Rules, root: unknown, path: string, prefix: string) {
    this.#rules = rules
    this.#root = root
    this.#path = path
    this.#prefix = prefix
  }

  expression (): Expression {
    const root = this.#expression(this.#root, this.#path, 0, new Set())
    this.#checkFinite(root, this.#path, this.#root)
    for (const reference of this.#references.keys()) this.#checkFinite({ kind: 'rule', name: this.#referenceRule(reference) }, this.#placeOf(reference), reference)
    return root
  }

  #checkFinite (expression: Expression, path: string, value: unknown): void {
    if (!this.#rules.matchesSomething(expression)) throw refuse(path, 'must accept some finite value: it refers to itself without end', value)
  }

  #count (what: Counted, more: number, path: string): void {
    this.#counts[what] += more
    const noun = { schemas: 'schemas', values: 'values of enum', names: 'characters of names and values' }[what]
    if (this.#counts[what] > limits[what]) throw refuse(path, `goes beyond ${limits[what]} ${noun}, the most that a schema may have`, this.#counts[what])
  }

  /**
   * What a schema accepts.
   * @param open references that lead here without anything written in between
   */
  #expression (schema: unknown, path: string, depth: number, open: ReadonlySet<string>): Expression {
    this.#count('schemas', 1, path)
    if (depth > limits.depth) throw refuse(path, `lies deeper than ${limits.depth} schemas`, depth)
    if (schema === true) return anyValue(this.#rules)
    if (schema === false) throw refuse(path, 'accepts nothing', false)
    if (!isObject(schema)) throw refuse(path, 'must be a JSON Schema: an object, true or false', schema)
    this.#checkKeywords(schema, path)
    const [only] = alone.filter(keyword => keyword in schema)
    if (only) return this.#alone(only, schema, path, depth, open)
    if ('enum' in schema || 'const' in schema) return this.#values(schema, path)
    const types = this.#types(schema, path)
    if (!types) return anyValue(this.#rules)
    return choice(...types.map(type => this.#ofType(type, schema, path, depth)))
  }

  #checkKeywords (schema: Schema, path: string): void {
    const keywords = Object.keys(schema).filter(keyword => !annotations.has(keyword) && !keyword.startsWith('x-'))
    for (const keyword of keywords) {
      if (known.includes(keyword)) continue
      const nearest = nearestName(keyword, known)
      throw refuse(`${path}.${keyword}`, `is a keyword that cannot be enforced${nearest === null ? `; there are ${known.join(', ')}` : `; did you mean ${nearest}?`}`, schema[keyword])
    }
    const only = keywords.find(keyword => (alone as readonly string[]).includes(keyword) || keyword === 'enum' || keyword === 'const')
    const beside = only && keywords.find(keyword => keyword !== only && !(keyword === 'type' && (only === 'enum' || only === 'const')))
    if (beside) throw refuse(`${path}.${beside}`, `cannot stand beside ${only}`, schema[beside])
  }

  #alone (keyword: (typeof alone)[number], schema: Schema, path: string, depth: number, open: ReadonlySet<string>): Expression {
    const value = schema[keyword]
    const place = `${path}.${keyword}`
    if (keyword === '$ref') return this.#reference(value, place, depth, open)
    if (!Array.isArray(value) || value.length === 0) throw refuse(place, 'must be a list of at least one schema', value)
    if (keyword === 'allOf' && value.length > 1) throw refuse(place, 'can be enforced with one schema only: write their keywords into one', value)
    if (keyword === 'oneOf') this.#checkDisjoint(value, place)
    const options = value.map((one, index) => this.#expression(one, `${place}[${index}]`, depth + 1, open))
    return options.length === 1 ? options[0]! : choice(...options.map(option => this.#rules.separate(option)))
  }

  #referenceRule (reference: string): string {
    const number = this.#references.get(reference) ?? this.#references.size
    this.#references.set(reference, number)
    return `${this.#prefix}_ref_${number}`
  }

  #segments (reference: string): string[] {
    return reference.slice(1).split('/').slice(1).map(segment => decodeURIComponent(segment).replaceAll('~1', '/').replaceAll('~0', '~'))
  }

  #placeOf (reference: string): string { return [this.#path, ...this.#segments(reference)].join('.') }

  #resolve (reference: unknown, path: string): unknown {
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) throw refuse(path, 'must refer into the schema itself: # or #/$defs/NAME', reference)
    let found: unknown = this.#root
    try {
      for (const segment of this.#segments(reference)) {
        found = typeof found === 'object' && found !== null && Object.hasOwn(found, segment) ? (found as Schema)[segment] : undefined
      }
    } catch {
      // A broken percent encoding names nothing.
      found = undefined
    }
    if (found === undefined) throw refuse(path, 'refers to nothing in the schema', reference)
    return found
  }

  #reference (reference: unknown, path: string, depth: number, open: ReadonlySet<string>): Expression {
    const target = this.#resolve(reference, path)
    const name = reference as string
    if (open.has(name)) throw refuse(path, 'refers to itself with nothing in between', reference)
    return this.#rules.rule(this.#referenceRule(name), () => this.#expression(target, this.#placeOf(name), depth + 1, new Set([...open, name])))
  }

  /** Exactly one of several holds where no two can. */
  #checkDisjoint (schemas: readonly unknown[], path: string): void {
    for (const [index, one] of schemas.entries()) {
      const other = schemas.slice(0, index).findIndex(before => !this.#areDisjoint(one, before, path))
      if (other >= 0) throw refuse(`${path}[${index}]`, `must differ from ${path}[${other}] in type, or in a required property with const or enum; where it does not, say anyOf`, one)
    }
  }

  #areDisjoint (a: unknown, b: unknown, path: string): boolean {
    const [one, other] = [this.#followed(a, path), this.#followed(b, path)]
    const [types, otherTypes] = [one, other].map(schema => this.#typesOf(schema))
    if (types && otherTypes && !types.some(type => otherTypes.includes(type) || (type === 'integer' && otherTypes.includes('number')) || (type === 'number' && otherTypes.includes('integer')))) return true
    const [values, otherValues] = [valuesOf(one), valuesOf(other)]
    if (values && otherValues) return !values.some(value => otherValues.includes(value))
    if (types?.join() !== 'object' || otherTypes?.join() !== 'object') return false
    const both = requiredOf(one).filter(name => requiredOf(other).includes(name))
    return both.some(name => {
      const [tags, otherTags] = [one, other].map(schema => valuesOf(this.#followed((schema['properties'] as Schema)?.[name], path)))
      return tags && otherTags && !tags.some(tag => otherTags.includes(tag))
    })
  }

  /** A schema behind its references. */
  #followed (schema: unknown, path: string): Schema {
    let followed = schema
    for (let steps = 0; isObject(followed) && '$ref' in followed && steps < limits.depth; steps++) followed = this.#resolve(followed['$ref'], path)
    return isObject(followed) ? followed : {}
  }

  #typesOf (schema: Schema): readonly TypeName[] | null {
    const values = schema['const'] !== undefined ? [schema['const']] : schema['enum']
    if (Array.isArray(values)) return [...new Set(values.map(typeOf))]
    return this.#types(schema, '')
  }

  /** The types that a schema is about; null is any. */
  #types (schema: Schema, path: string): readonly TypeName[] | null {
    const { type } = schema
    const about = Object.keys(schema).flatMap(keyword => keywordTypes[keyword] ?? [])
    if (type === undefined) return about.length === 0 ? null : [...new Set(about)]
    const types = (Array.isArray(type) ? type : [type]) as TypeName[]
    if (types.length === 0 || types.some(one => !typeNames.includes(one))) throw refuse(`${path}.type`, `must be one of ${typeNames.join(', ')}, or a list of them`, type)
    for (const keyword of Object.keys(schema)) {
      const owner = keywordTypes[keyword]
      if (owner && !types.includes(owner) && !(owner === 'number' && types.includes('integer'))) throw refuse(`${path}.${keyword}`, `says nothing about type ${types.join(', ')}`, schema[keyword])
    }
    return [...new Set(types)].filter(one => one !== 'integer' || !types.includes('number'))
  }

  #values (schema: Schema, path: string): Expression {
    const keyword = 'const' in schema ? 'const' : 'enum'
    const given = schema[keyword]
    if (keyword === 'enum' && (!Array.isArray(given) || given.length === 0)) throw refuse(`${path}.enum`, 'must be a list of at least one value', given)
    const values = keyword === 'const' ? [given] : given as readonly unknown[]
    const types = schema['type'] === undefined ? null : this.#types(schema, path)
    const odd = types ? values.findIndex(value => !isOfType(value, types)) : -1
    if (odd >= 0) throw refuse(`${path}.${keyword}`, `must hold values of type ${types!.join(', ')} only`, values[odd])
    const written = [...new Set(values.map(value => JSON.stringify(value)))]
    this.#count('values', written.length, `${path}.${keyword}`)
    this.#count('names', written.reduce((sum, one) => sum + one.length, 0), `${path}.${keyword}`)
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

  /** A whole number from 0 to `most`, or null where it is not given. */
  #size (schema: Schema, keyword: string, path: string, most: number): number | null {
    const value = schema[keyword]
    if (value === undefined) return null
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most) throw refuse(`${path}.${keyword}`, `must be an integer from 0 to ${most}`, value)
    return value
  }

  /** Bounds of a size, which must leave room. */
  #sizes (schema: Schema, [low, high]: readonly [string, string], path: string, most: number): [number, number | null] {
    const [least, largest] = [this.#size(schema, low, path, most) ?? 0, this.#size(schema, high, path, most)]
    if (largest !== null && largest < least) throw refuse(`${path}.${high}`, `must be at least ${low} = ${least}`, largest)
    return [least, largest]
  }

  #string (schema: Schema, path: string): Expression {
    const [least, most] = this.#sizes(schema, ['minLength', 'maxLength'], path, mostCounted)
    const { format } = schema
    if (format === undefined) return string(this.#rules, least, most)
    if (typeof format !== 'string' || !Object.hasOwn(formats, format)) throw refuse(`${path}.format`, `must be one that can be enforced: ${Object.keys(formats).join(', ')}`, format)
    if (schema['minLength'] !== undefined || schema['maxLength'] !== undefined) throw refuse(`${path}.format`, 'cannot stand beside minLength and maxLength', format)
    return this.#rules.rule(`format_${format.replace('-', '_')}`, () => sequence(text('"'), formats[format]!(this.#rules), text('"')))
  }

  #bound (schema: Schema, side: 'inimum' | 'aximum', path: string): Bound | null {
    const [inclusive, exclusive] = [schema[`m${side}`], schema[`exclusiveM${side}`]]
    for (const [keyword, value] of [[`m${side}`, inclusive], [`exclusiveM${side}`, exclusive]] as const) {
      if (value !== undefined && (typeof value !== 'number' || !isWritable(value))) throw refuse(`${path}.${keyword}`, 'must be a number of at most 20 digits after the point', value)
    }
    if (inclusive === undefined && exclusive === undefined) return null
    if (exclusive === undefined) return { value: inclusive as number, exclusive: false }
    if (inclusive === undefined) return { value: exclusive as number, exclusive: true }
    // Both are given: the narrower one counts.
    const isNarrower = side === 'inimum' ? (exclusive as number) >= (inclusive as number) : (exclusive as number) <= (inclusive as number)
    return isNarrower ? { value: exclusive as number, exclusive: true } : { value: inclusive as number, exclusive: false }
  }

  #integer (schema: Schema, path: string): Expression {
    const [low, high] = [this.#bound(schema, 'inimum', path), this.#bound(schema, 'aximum', path)]
    if (!low && !high) return anyInteger(this.#rules)
    const least = low ? BigInt(Math.ceil(low.value)) + (low.exclusive && Number.isInteger(low.value) ? 1n : 0n) : -largestInteger
    const most = high ? BigInt(Math.floor(high.value)) - (high.exclusive && Number.isInteger(high.value) ? 1n : 0n) : largestInteger
    return this.#rules.separate(integersBetween(this.#rules, least, most) ?? this.#noneBetween(schema, path))
  }

  #number (schema: Schema, path: string): Expression {
    const [low, high] = [this.#bound(schema, 'inimum', path), this.#bound(schema, 'aximum', path)]
    if (!low && !high) return anyNumber(this.#rules)
    return this.#rules.separate((low && high && low.value > high.value ? null : numbersBetween(this.#rules, low, high)) ?? this.#noneBetween(schema, path))
  }

  #noneBetween (schema: Schema, path: string): never {
    const keyword = ['maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum'].find(name => name in schema)!
    throw refuse(`${path}.${keyword}`, 'leaves no number between the bounds', schema[keyword])
  }

  #array (schema: Schema, path: string, depth: number): Expression {
    const [least, most] = this.#sizes(schema, ['minItems', 'maxItems'], path, limits.items)
    const { items, prefixItems = [], uniqueItems } = schema
    if (uniqueItems !== undefined && uniqueItems !== false) throw refuse(`${path}.uniqueItems`, 'cannot be enforced unless it is false', uniqueItems)
    if (Array.isArray(items)) throw refuse(`${path}.items`, 'must be one schema; lists of them are called prefixItems', items)
    if (!Array.isArray(prefixItems)) throw refuse(`${path}.prefixItems`, 'must be a list of schemas', prefixItems)
    const first = prefixItems.map((one, index) => this.#expression(one, `${path}.prefixItems[${index}]`, depth + 1, new Set()))
    // Where only the first items are described there are no others.
    const isClosed = items === false || (items === undefined && first.length > 0)
    const largest = isClosed ? Math.min(most ?? Infinity, first.length) : most ?? Infinity
    if (least > largest) throw refuse(`${path}.minItems`, `must be at most ${largest}, the number of items that are described`, least)
    if (largest === 0) return text('[]')
    if (first.length === 0 && items === undefined && least === 0 && largest === Infinity) return anyArray(this.#rules)
    const rest = isClosed ? null : this.#expression(items ?? true, `${path}.items`, depth + 1, new Set())
    return this.#list(first, rest, least, largest)
  }

  /** Items between brackets. */
  #list (first: readonly Expression[], rest: Expression | null, least: number, most: number): Expression {
    const rules = this.#rules
    const after = (count: number): Expression => {
      if (count >= most) return text('')
      if (count >= first.length) return repeat(following(rules, rest!), Math.max(0, least - count), most === Infinity ? null : most - count)
      const next = sequence(following(rules, first[count]!), after(count + 1))
      return count >= least ? choice(text(''), next) : next
    }
    return between(rules, '[', sequence(first[0] ?? rest!, after(1)), ']', least === 0)
  }

  #object (schema: Schema, path: string, depth: number): Expression {
    const { properties = {}, required = [], additionalProperties } = schema
    if (!isObject(properties)) throw refuse(`${path}.properties`, 'must be an object of schemas', properties)
    if (!Array.isArray(required) || required.some(name => typeof name !== 'string')) throw refuse(`${path}.required`, 'must be a list of names', required)
    const names = [...new Set([...Object.keys(properties), ...required as string[]])]
    this.#count('names', names.reduce((sum, name) => sum + name.length, 0), `${path}.properties`)
    // Where properties are described there are no others unless that is said.
    const others = additionalProperties ?? (names.length === 0)
    if (others === true && names.length === 0) return anyObject(this.#rules)
    const rest = others === false ? null : this.#expression(others, `${path}.additionalProperties`, depth + 1, new Set())
    const members = names.map(name => {
      const place = `${path}.properties.${name}`
      const own = Object.hasOwn(properties, name)
      if (!own && others === false) throw refuse(`${path}.required`, 'must name properties that there are', name)
      return { isRequired: required.includes(name), value: property(this.#rules, name, own ? this.#expression(properties[name], place, depth + 1, new Set()) : rest ?? anyValue(this.#rules)) }
    })
    return this.#members(members, rest === null ? null : propertyExcept(this.#rules, names, rest))
  }

  /** Properties in order, those that are not required or not; others last. */
  #members (members: ReadonlyArray<{ readonly isRequired: boolean, readonly value: Expression }>, other: Expression | null): Expression {
    const rules = this.#rules
    const more = other ? repeat(following(rules, other), 0, null) : text('')
    if (members.length > 0 && members.every(member => member.isRequired)) {
      const [first, ...others] = members.map(member => member.value)
      return between(rules, '{', sequence(first!, ...others.map(value => following(rules, value)), more), '}', false)
    }
    // From the last property on: what may follow where something stands before it, and where nothing does; null is nothing at all.
    let after: Expression = more
    let begin: Expression | null = other ? sequence(other, more) : null
    let mayBeEmpty = true
    for (const { isRequired, value: own } of [...members].reverse()) {
      const value = this.#rules.separate(own)
      const here = sequence(value, after)
      begin = isRequired || !begin ? here : choice(here, begin)
      mayBeEmpty &&= !isRequired
      after = this.#rules.separate(isRequired ? sequence(following(rules, value), after) : choice(sequence(following(rules, value), after), after))
    }
    return begin ? between(rules, '{', begin, '}', mayBeEmpty) : text('{}')
  }
}

const requiredOf = ({ required }: Schema): readonly string[] => Array.isArray(required) ? required : []

/** The scalars that a schema lists; null where it lists none, or others. */
function valuesOf (schema: Schema): readonly unknown[] | null {
  const values = schema['const'] !== undefined ? [schema['const']] : schema['enum']
  return Array.isArray(values) && values.every(value => typeof value !== 'object' || value === null) ? values : null
}

/**
 * A schema's JSON as part of a grammar.
 * @param path what the caller calls the schema, for errors
 * @param prefix what names of its own rules begin with, where a grammar has several schemas
 * @throws RequestError as `schemaGrammar` does
 */
export function schemaExpression (rules: Rules, schema: unknown, path: string, prefix: string): Expression {
  return new SchemaReader(rules, schema, path, prefix).expression()
}

/**
 * The grammar of a schema's JSON.
 * @param path what the caller calls the schema, for errors
 * @throws RequestError naming the place, the rule and the value for what cannot be enforced, is contradictory, endless or too large
 */
export function schemaGrammar (schema: unknown, path: string): string {
  const rules = new Rules()
  return rules.print(schemaExpression(rules, schema, path, 'schema'))
}

/** The grammar of any JSON object. */
export function objectGrammar (): string {
  const rules = new Rules()
  return rules.print(anyObject(rules))
}
