/**
 * Bytes of a body or a message as JSON: UTF-8, of no more parts than are parsed in a moment, no deeper than anybody
 * walks by recursion, no names that change an object's prototype.
 */
import { isUtf8 } from 'node:buffer'
import { RequestError } from '../../errors.js'
import { halfPairIn, halfPairRule } from '../../half-pairs.js'
import { keepSchemaTexts } from '../schemas/schema-text.js'

const maxLevels = 100

/**
 * Objects, lists and strings that may be in so many bytes, and commas: what makes JSON slow to parse, to check and to
 * hand on for its size. Numbers that are no more than token ids fit by their size alone.
 */
const mostParts = (limit: number): number => Math.max(4096, limit >> 5)
const mostCommas = (limit: number): number => Math.max(4096, limit >> 3)

const [quote, backslash, list, object, comma] =
  [...'"\\[{,'].map(one => one.charCodeAt(0)) as [number, number, number, number, number]

/** Where the string that begins at a quote ends, or the bytes do. */
function endOfString (bytes: Buffer, start: number): number {
  for (let end = bytes.indexOf(quote, start + 1); end >= 0; end = bytes.indexOf(quote, end + 1)) {
    let escapes = 0
    while (bytes[end - 1 - escapes] === backslash) escapes++
    if (escapes % 2 === 0) return end
  }
  return bytes.length
}

/** Counts before it is parsed, in a time that is the bytes' alone. */
function refuseManyParts (bytes: Buffer, limit: number, what: string): void {
  let [parts, commas] = [0, 0]
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte === comma) commas++
    else if (byte === list || byte === object) parts++
    else if (byte === quote) {
      at = endOfString(bytes, at)
      parts++
    }
  }
  const refuse = (things: string, most: number, held: number): void => {
    if (held <= most) return
    throw new RequestError('invalid_request', `${what} may hold ${most} ${things} in all; it holds ${held}`)
  }
  refuse('objects, lists and strings', mostParts(limit), parts)
  refuse('commas between values', mostCommas(limit), commas)
}

/** Where a value is, from the outermost object on. */
type Path = ReadonlyArray<string | number>

/** A path as callers write it: `messages[0].role`. */
const pathText = (path: Path): string => path.map((step, index) =>
  typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`).join('').slice(0, 200)

function refuseBytes (bytes: Buffer, what: string): RequestError {
  // A byte that is no UTF-8 is three others when it is written again.
  const again = Buffer.from(bytes.toString())
  const at = bytes.findIndex((byte, index) => byte !== again[index])
  return new RequestError('invalid_request', `${what} must be UTF-8; the byte 0x` +
    `${bytes[at]!.toString(16).toUpperCase().padStart(2, '0')} at offset ${at} is not`)
}

/** Whether a copy of the object, or one that is merged with it, could get another prototype by a name in it. */
const changesPrototype = (name: string, value: unknown): boolean => name === '__proto__' ||
  (name === 'constructor' && typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype'))

/** @param path where the value is; the same list for the whole walk */
function walk (value: unknown, path: Array<string | number>): void {
  if (typeof value !== 'object' || value === null) return
  if (path.length >= maxLevels) {
    throw new RequestError('invalid_request', `The body may be nested ${maxLevels} levels deep; it is nested deeper`)
  }
  if (Array.isArray(value)) value.forEach((inner, index) => { if (typeof inner === 'object') step(inner, index, path) })
  else for (const name of Object.keys(value)) stepInto(value as Record<string, unknown>, name, path)
}

function step (value: unknown, name: string | number, path: Array<string | number>): void {
  if (typeof value !== 'object') return
  path.push(name)
  walk(value, path)
  path.pop()
}

function stepInto (object: Record<string, unknown>, name: string, path: Array<string | number>): void {
  const value = object[name]
  if (changesPrototype(name, value)) {
    const place = pathText([...path, name])
    throw new RequestError('invalid_request', `${place} is a name that is refused everywhere, since it can change ` +
      'the prototype of an object; leave it out or give it another name', { param: place })
  }
  step(value, name, path)
}

/**
 * @param what what the bytes are, as an error begins: `The body`
 * @param limit how many bytes there might have been
 * @throws RequestError invalid_request for bytes that are no UTF-8 or no JSON, and for JSON of too many parts, nested
 * too deep, with a refused name or with half a character
 */
export function readJson (bytes: Buffer, what: string, limit: number): unknown {
  if (!isUtf8(bytes)) throw refuseBytes(bytes, what)
  refuseManyParts(bytes, limit, what)
  const whole = bytes.toString()
  // As files do, bodies may begin with a byte order mark.
  const text = whole.startsWith('\uFEFF') ? whole.slice(1) : whole
  let value: unknown
  try {
    value = JSON.parse(text)
    keepSchemaTexts(text, value)
  } catch (cause) {
    throw new RequestError('invalid_request',
      `${what} must be JSON; it cannot be parsed (${cause instanceof Error ? cause.message : String(cause)})`, { cause })
  }
  walk(value, [])
  const broken = halfPairIn(text, value)
  if (broken !== null) {
    const param = broken.slice(0, 200)
    throw new RequestError('invalid_request', `${param} ${halfPairRule}`, { param })
  }
  return value
}
