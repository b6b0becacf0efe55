/**
 * The text of a JSON Schema as a caller wrote it. JavaScript moves keys that are whole numbers to the front ("2", "10",
 * "zeta"), but answers are written in the order of their schema; so where a body has such keys, the texts of its
 * schemas are kept, and read by the grammar thread. One quick pass: bodies are large, and the main thread waits.
 */
import { isObject } from '../../validation.js'

/** A key that JavaScript may move; escapes are looked at too. */
const mayMove = /"(?:\d|\\u003\d)+"\s*:/

/** Fields that schemas are in, and that are schemas. */
const leading = new Set(['request', 'response_format', 'json_schema', 'text', 'format', 'tools', 'function'])
const schemas = new Set(['schema', 'parameters'])

/** Levels that a schema may be inside of: a message's request, its tools, a tool, its function. */
const maxLevel = 6
/** Items of a list that are looked at: more tools than there may be. */
const maxItems = 256

const texts = new WeakMap<object, string>()

/** Character codes. */
const [quote, backslash, comma, openList, closeList, openObject, closeObject] =
  ['"', '\\', ',', '[', ']', '{', '}'].map(sign => sign.charCodeAt(0)) as [number, number, number, number, number,
    number, number]

/** Reads a valid text beside the value that it was parsed to. */
class Reader {
  readonly #text: string
  #at = 0

  constructor (text: string) { this.#text = text }

  /** Goes to the end of the value at hand. @param value what it was parsed to, so far as it is known */
  value (value: unknown, level: number): void {
    const begin = this.#sign()
    if (level > maxLevel || (begin !== openObject && begin !== openList)) return this.#skip()
    this.#at++
    for (let index = 0, sign = this.#sign(); sign !== closeObject && sign !== closeList; index++, sign = this.#sign()) {
      if (sign === comma) this.#at++
      if (begin === openObject) this.#member(value, level)
      else if (index < maxItems) this.value(Array.isArray(value) ? value[index] : undefined, level + 1)
      else {
        this.#sign()
        this.#skip()
      }
    }
    this.#at++
  }

  #member (value: unknown, level: number): void {
    this.#sign()
    const key = this.#key()
    this.#at = this.#text.indexOf(':', this.#at) + 1
    const isKnown = leading.has(key) || schemas.has(key)
    const child = isKnown && isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
    if (leading.has(key)) return this.value(child, level + 1)
    const isSchema = this.#sign() === openObject && isObject(child)
    const begin = this.#at
    this.#skip()
    // Of two under one name the last counts, in the value too.
    if (isSchema) texts.set(child, this.#text.slice(begin, this.#at))
  }

  /** The sign at hand, behind white space. */
  #sign (): number {
    while (this.#text.charCodeAt(this.#at) <= 0x20) this.#at++
    return this.#text.charCodeAt(this.#at)
  }

  #key (): string {
    const begin = this.#at
    this.#string()
    const text = this.#text.slice(begin, this.#at)
    return text.includes('\\') ? JSON.parse(text) as string : text.slice(1, -1)
  }

  #string (): void {
    for (this.#at++; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === backslash) this.#at++
      else if (code === quote) break
    }
    this.#at++
  }

  /** Goes behind the value at hand, without a look inside. */
  #skip (): void {
    for (let depth = 0; this.#at < this.#text.length;) {
      const code = this.#text.charCodeAt(this.#at)
      const isClosing = code === closeObject || code === closeList
      // Of a number, or a word, that is what follows it.
      if (depth === 0 && (isClosing || code === comma)) return
      if (code === quote) this.#string()
      else this.#at++
      if (code === openObject || code === openList) depth++
      else if (isClosing) depth--
      if (depth === 0 && (isClosing || code === quote)) return
    }
  }
}

/**
 * Keeps the texts of the schemas in a body, or a message, where their order of keys is not JavaScript's.
 * @param text valid JSON
 * @param value what it was parsed to
 */
export function keepSchemaTexts (text: string, value: unknown): void {
  if (mayMove.test(text)) new Reader(text).value(value, 0)
}

/** A schema's JSON, keys in the order in which the caller wrote them. */
export const schemaText = (schema: object): string => texts.get(schema) ?? JSON.stringify(schema)
