/**
 * Random JSON Schemas of what structured output enforces, always satisfiable. Bounded ones are short enough for a
 * random model to finish.
 */
import type { Random } from '../../src/policies/random-stream.js'

type Schema = Record<string, unknown>

const words = ['name', 'age', 'city', 'tags', 'score', 'a', 'ab', 'b c', 'é', '"quoted"', 'back\\slash', 'line\nbreak',
  '名', '😀']

export class SchemaGenerator {
  readonly #random: Random
  readonly #isBounded: boolean

  constructor (random: Random, isBounded: boolean) {
    this.#random = random
    this.#isBounded = isBounded
  }

  #whole (least: number, most: number): number { return least + Math.floor(this.#random.next() * (most - least + 1)) }
  #chance (probability: number): boolean { return this.#random.next() < probability }
  #pick<T> (options: readonly T[]): T { return options[this.#whole(0, options.length - 1)]! }
  #some<T> (options: readonly T[]): T[] { return options.filter(() => this.#chance(0.5)) }

  /** A schema, with definitions that refer to each other. */
  next (): Schema {
    const schema = this.#schema(3)
    if (!this.#chance(0.3)) return schema
    const list = {
      type: 'object',
      properties: { value: this.#schema(1), next: { anyOf: [{ $ref: '#/$defs/list' }, { type: 'null' }] } },
      required: ['value', 'next'],
      additionalProperties: false
    }
    return {
      type: 'object',
      properties: { first: schema, list: { $ref: '#/$defs/list' } },
      required: this.#some(['first', 'list']),
      additionalProperties: false,
      $defs: { list }
    }
  }

  #schema (depth: number): Schema {
    const makers = [() => this.#string(), () => this.#integer(), () => this.#number(), () => this.#values(),
      () => ({ type: 'boolean' }), () => ({ type: 'null' })]
    if (depth === 0) return this.#pick(makers)()
    return this.#pick([...makers, () => this.#object(depth), () => this.#object(depth), () => this.#array(depth),
      () => this.#array(depth), () => this.#choice(depth)])()
  }

  #string (): Schema {
    if (this.#chance(0.3)) {
      return {
        type: 'string',
        format: this.#pick(['date', 'time', 'date-time', 'uuid', 'ipv4',
          ...(this.#isBounded ? [] : ['email', 'hostname'])])
      }
    }
    const least = this.#whole(0, 3)
    if (this.#isBounded) {
      return { type: 'string', ...(this.#chance(0.5) ? { minLength: least } : {}), maxLength: this.#whole(least, 6) }
    }
    return {
      type: 'string',
      ...(this.#chance(0.5) ? { minLength: least } : {}),
      ...(this.#chance(0.5) ? { maxLength: this.#whole(least, 20) } : {})
    }
  }

  #bounds (draw: () => number): Schema {
    const [low, high] = [draw(), draw()].sort((a, b) => a - b) as [number, number]
    const [strictly, below] = [this.#chance(0.3), this.#chance(0.3)]
    return {
      ...(this.#chance(0.6) ? { [strictly ? 'exclusiveMinimum' : 'minimum']: low } : {}),
      // Room for a number between two excluded bounds.
      ...(this.#chance(0.6) ? { [below ? 'exclusiveMaximum' : 'maximum']: high + 2 } : {})
    }
  }

  #integer (): Schema {
    const size = this.#pick([3, 50, 1000, 1e9])
    return { type: 'integer', ...this.#bounds(() => this.#whole(-size, size)) }
  }

  #number (): Schema {
    const size = this.#pick([1, 10, 1000])
    return {
      type: 'number', ...this.#bounds(() => Number(((this.#random.next() - 0.5) * size).toFixed(this.#whole(0, 6))))
    }
  }

  #values (): Schema {
    const pool = ['red', 'green', '"', '\\', 'new\nline', 'é', 0, -1.5, 1e21, true, null, [1, 'a'], { a: { b: [] } }]
    return this.#chance(0.3) ? { const: this.#pick(pool) } : { enum: [this.#pick(pool), ...this.#some(pool)] }
  }

  #object (depth: number): Schema {
    const names = this.#some(words)
    const properties = Object.fromEntries(names.map(name => [name, this.#schema(depth - 1)]))
    const others = this.#isBounded ? false : this.#pick([undefined, false, true, this.#schema(0)])
    return {
      type: 'object',
      properties,
      ...(this.#chance(0.8) ? { required: this.#some(names) } : {}),
      ...(others === undefined ? {} : { additionalProperties: others })
    }
  }

  #array (depth: number): Schema {
    const least = this.#whole(0, 2)
    const first = this.#chance(0.3) ? Array.from({ length: this.#whole(1, 3) }, () => this.#schema(depth - 1)) : []
    if (first.length > 0 && this.#chance(0.5)) {
      return { type: 'array', prefixItems: first, items: false, minItems: this.#whole(0, first.length) }
    }
    return {
      type: 'array',
      ...(first.length > 0 ? { prefixItems: first } : {}),
      items: this.#schema(depth - 1),
      ...(this.#chance(0.5) ? { minItems: least } : {}),
      ...(this.#isBounded || this.#chance(0.5) ? { maxItems: this.#whole(least + first.length, 4 + first.length) } : {})
    }
  }

  #choice (depth: number): Schema {
    const options = Array.from({ length: this.#whole(1, 3) }, () => this.#schema(depth - 1))
    if (this.#chance(0.3)) {
      return {
        oneOf: [{ type: 'object', properties: { kind: { const: 'a' } }, required: ['kind'] },
          { type: 'object', properties: { kind: { enum: ['b', 'c'] } }, required: ['kind'] }, { type: 'boolean' }]
      }
    }
    return options.length === 1 ? { allOf: options } : { anyOf: options }
  }
}
