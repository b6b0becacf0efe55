/** Arguments of calls by the names of a function's parameters. */
import { TemplateError } from './lexer.js'
import { Text } from './text.js'
import { fail, List, typeName, Undefined, type CallArguments, type Value } from './values.js'

/** The arguments of one call, read by the order of their names. */
export class Bound {
  readonly #what: string
  readonly #values: ReadonlyMap<string, Value>

  /** @throws TemplateError for one too many, or of another name */
  constructor (what: string, { positional, named }: CallArguments, names: readonly string[]) {
    this.#what = what
    if (positional.length > names.length) fail(`${what} takes at most ${names.length} arguments`)
    for (const name of named.keys()) {
      if (!names.slice(positional.length).includes(name)) fail(`${what} takes no argument ${name}`)
    }
    this.#values = new Map([...positional.map((value, index) => [names[index]!, value] as const), ...named])
  }

  has (name: string): boolean { return this.#values.has(name) }

  value (name: string): Value | undefined { return this.#values.get(name) }

  needed (name: string): Value {
    const value = this.value(name)
    if (value === undefined) throw new TemplateError(`${this.#what} needs the argument ${name}`)
    return value
  }

  /** A text; undefined where it is None or not given. */
  text (name: string): Text | undefined {
    const value = this.value(name)
    if (value === undefined || value === null) return undefined
    return value instanceof Text ? value : this.#refuse(name, 'a text', value)
  }

  integer (name: string, fallback: number): number {
    const value = this.value(name) ?? fallback
    return typeof value === 'number' ? value : this.#refuse(name, 'a whole number', value)
  }

  neededText (name: string): Text {
    const value = this.needed(name)
    return value instanceof Text ? value : this.#refuse(name, 'a text', value)
  }

  /** One or several texts. */
  texts (name: string): readonly Text[] {
    const value = this.needed(name)
    const list = value instanceof List ? value.items : [value]
    return list.map(item => item instanceof Text ? item : this.#refuse(name, 'texts', item))
  }

  #refuse (name: string, what: string, value: Value): never {
    throw new TemplateError(`${this.#what}: ${name} must be ${what}; got ${typeName(value)}`)
  }
}

/** Refuses what is not there. */
export const there = (value: Value): Value =>
  value instanceof Undefined ? fail(`${value.what} is undefined`) : value
