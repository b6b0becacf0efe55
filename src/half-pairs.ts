/**
 * Halves of surrogate pairs in JSON (`"\\ud83d"` alone), as programs write that cut a text inside a character. They
 * stand for no character, and as UTF-8 they would be another one.
 */

/** An escape of half a pair, perhaps of a whole one: bytes that are UTF-8 hold halves in no other way. */
const escapedHalf = /\\u[dD][89a-fA-F]/

const isBroken = (text: string): boolean => /\p{Surrogate}/u.test(text)

function find (value: unknown, path: string): string | null {
  if (typeof value === 'string') return isBroken(value) ? path : null
  if (typeof value !== 'object' || value === null) return null
  for (const [name, inner] of Object.entries(value)) {
    const place = Array.isArray(value) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`
    const found = isBroken(name) ? place : find(inner, place)
    if (found !== null) return found
  }
  return null
}

/**
 * Where a JSON value has half a pair, as `messages[0].content`; null where it has none.
 * @param json its text, valid UTF-8
 * @param value what it was parsed to, nested no deeper than can be walked by recursion
 */
export const halfPairIn = (json: string, value: unknown): string | null =>
  escapedHalf.test(json) ? find(value, '') : null

/** What a refusal says of it. */
export const halfPairRule = 'holds half of a surrogate pair (\\ud800 to \\udfff alone), which is no character'
