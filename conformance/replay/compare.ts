/** Where two recorded answers differ first. */

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
const longest = 60

function shortly (value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > longest ? `${text.slice(0, longest)}…` : text
}

/** From where on two texts differ, with a little of what is before. */
function textsFrom (a: string, b: string): string {
  let same = 0
  while (same < a.length && a[same] === b[same]) same++
  const from = Math.max(0, same - 12)
  return `${from > 0 ? `from character ${from} ` : ''}was ${shortly(a.slice(from))}, is ${shortly(b.slice(from))}`
}

/** @returns the first place that differs, with both values; null where nothing does */
export function firstDifference (a: unknown, b: unknown, path = ''): string | null {
  if (Object.is(a, b)) return null
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) {
    const areTexts = typeof a === 'string' && typeof b === 'string'
    const both = areTexts ? textsFrom(a, b) : `was ${shortly(a)}, is ${shortly(b)}`
    return `${path || 'the answer'}: ${both}`
  }
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const place = Array.isArray(a) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`
    const found = firstDifference(a[name], b[name], place)
    if (found !== null) return found
  }
  return null
}
