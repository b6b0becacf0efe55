/**
 * JSON whose objects keep the order of keys of their text. JavaScript moves keys that are whole numbers to the front
 * ("2", "10", "zeta"), but answers are written in the order of their schema. So for objects that have such keys the
 * order is remembered when their text is parsed, and kept when they are written as text again. It is lost where an
 * object is copied.
 */
import { isObject } from '../validation.js'

/** Keys in the order of the text, by object; only where JavaScript has another. */
const orders = new WeakMap<object, readonly string[]>()

/** A key that JavaScript may move; escapes are looked at too. */
const mayMove = /"(?:\d|\\u003\d)+"\s*:/

interface Open {
  /** What was parsed here; no object where a key comes twice and this one lost. */
  readonly value: unknown
  /** Of an object. */
  readonly keys: Set<string> | null
  key: string
  index: number
}

/** Where the string ends that begins at a position, its quote included. */
function endOfString (text: string, begin: number): number {
  let end = text.indexOf('"', begin + 1)
  for (; ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text[end - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return end + 1
  }
}

const childOf = ({ value, keys, key, index }: Open): unknown => {
  if (typeof value !== 'object' || value === null) return undefined
  if (keys === null) return Array.isArray(value) ? value[index] : undefined
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
}

/** Walks through a valid text beside its value. */
class Walk {
  readonly #text: string
  readonly #root: unknown
  readonly #open: Open[] = []

  constructor (text: string, root: unknown) {
    this.#text = text
    this.#root = root
  }

  run (): void {
    const text = this.#text
    const signs = /["{}[\],]/g
    for (let found = signs.exec(text); found; found = signs.exec(text)) {
      if (found[0] === '"') signs.lastIndex = this.#string(found.index)
      else this.#sign(found[0])
    }
  }

  /** @returns where it ends */
  #string (begin: number): number {
    const end = endOfString(this.#text, begin)
    const top = this.#open.at(-1)
    // The first string after a brace or a comma of an object is a key.
    if (top?.keys && top.index === top.keys.size) {
      top.key = JSON.parse(this.#text.slice(begin, end)) as string
      top.keys.add(top.key)
      top.index = -1
    }
    return end
  }

  #sign (sign: string): void {
    const top = this.#open.at(-1)
    if (sign === '{' || sign === '[') {
      const value = top ? childOf(top) : this.#root
      this.#open.push({ value, keys: sign === '{' ? new Set() : null, key: '', index: 0 })
    } else if (sign === ',') {
      top!.index = top!.keys ? top!.keys.size : top!.index + 1
    } else {
      this.#open.pop()
      if (top!.keys && isObject(top!.value)) remember(top!.value, [...top!.keys])
    }
  }
}

function remember (value: object, keys: readonly string[]): void {
  const own = Object.keys(value)
  if (own.length !== keys.length || keys.some(key => !Object.hasOwn(value, key))) return
  // Of two objects under one key the last counts, which is the one that was parsed.
  if (keys.some((key, index) => key !== own[index])) orders.set(value, keys)
  else orders.delete(value)
}

/** An object of some members, whose order is remembered. */
export function orderedObject (members: ReadonlyArray<readonly [string, unknown]>): Record<string, unknown> {
  const value = Object.fromEntries(members)
  remember(value, members.map(([key]) => key))
  return value
}

/** `JSON.parse`, with the order of keys remembered. @throws SyntaxError */
export function parseOrdered (text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (mayMove.test(text)) new Walk(text, value).run()
  return value
}

/** An object's keys, in the order of the text that it was parsed from. */
export const orderedKeys = (value: object): readonly string[] => orders.get(value) ?? Object.keys(value)

/** `JSON.stringify` of parsed JSON, with keys in the order of its text. */
export function stringifyOrdered (value: unknown): string {
  const text = JSON.stringify(value)
  return mayMove.test(text) ? inOrder(value) : text
}

function inOrder (value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(one => inOrder(one ?? null)).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const members = orderedKeys(value).filter(key => value[key] !== undefined)
  return `{${members.map(key => `${JSON.stringify(key)}:${inOrder(value[key])}`).join(',')}}`
}
