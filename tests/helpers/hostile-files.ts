/**
 * Files of models and rewards that are not as they should be, the same for the same random numbers: bytes of a header
 * changed, numbers in it enormous, fields of another type, lists and objects nested deep, ends cut off.
 */

const pick = <T>(random: () => number, list: readonly T[]): T => list[Math.floor(random() * list.length)]!

/** Sizes that nothing has. */
const oddSizes = [0n, 1n, 3n, 2n ** 20n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n,
  2n ** 64n - 1n] as const

/** Changes a file's beginning. @param header how many bytes are worth a change; the rest is weights */
export function mutateBytes (bytes: Uint8Array, header: number, random: () => number): Uint8Array {
  const at = Math.floor(random() * header)
  const copy = Buffer.from(bytes)
  switch (Math.floor(random() * 5)) {
    case 0:
      copy[at]! ^= 1 << Math.floor(random() * 8)
      return copy
    case 1:
      for (let index = at; index < Math.min(at + 16, copy.length); index++) copy[index] = Math.floor(random() * 256)
      return copy
    case 2:
      copy.writeBigUInt64LE(pick(random, oddSizes), Math.min(at, copy.length - 8))
      return copy
    case 3:
      return copy.subarray(0, Math.floor(random() * copy.length))
    default:
      // As if a length before it were wrong.
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + Math.floor(random() * 8))])
  }
}

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

/** JSON of values that no field has, as it is written: numbers beyond all bounds, too. */
const oddValues = ['null', 'true', '0', '-1', '0.5', '1e5', '4000000000', '9007199254740993', '1e300', '1e999', '""',
  '"x"', '"__proto__"', '[]', '{}', '[null]', '[[]]', '{"a":1}', nested(50), nested(100_000),
  JSON.stringify('x'.repeat(100_000)), '"../../etc/passwd"', '"(a+)+$"', '"\\ud800"'] as const

/** Where a value of a JSON document lies. */
type Place = ReadonlyArray<string | number>

/** @param wide entries of a list or an object that are looked into */
function placesOf (value: unknown, wide = 8, path: Place = []): Place[] {
  if (typeof value !== 'object' || value === null) return [path]
  const entries = Object.entries(value).slice(0, wide)
  return [path, ...entries.flatMap(([key, inner]) =>
    placesOf(inner, wide, [...path, Array.isArray(value) ? Number(key) : key]))]
}

/** What stands for the odd value until the document is text. */
const mark = '\u0001odd\u0001'

function put (value: any, [key, ...rest]: Place, odd: unknown): unknown {
  if (key === undefined) return odd
  const copy = Array.isArray(value) ? [...value] : { ...value }
  if (odd === undefined && rest.length === 0) delete copy[key]
  else copy[key] = put(copy[key], rest, odd)
  return copy
}

/** A document with one value odd or missing, or cut short. @returns its text */
export function mutateJson (document: unknown, random: () => number): string {
  const place = pick(random, placesOf(document))
  switch (Math.floor(random() * 8)) {
    case 0: return JSON.stringify(document).slice(0, Math.floor(random() * 1000))
    case 1: return JSON.stringify(put(document, place, place.length === 0 ? null : undefined))
    default: {
      const odd = pick(random, oddValues)
      return JSON.stringify(put(document, place, mark)).replace(JSON.stringify(mark), () => odd)
    }
  }
}
