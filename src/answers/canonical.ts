/** One spelling for answers that say the same: what makes two answers one party of a vote. */
import { withoutTypesetting } from './notation.js'
import { numberText } from './value.js'

/** The parts of a text between its commas, where no bracket is open; a comma between thousands is none of them. */
function partsOf (text: string): string[] {
  const parts = ['']
  let depth = 0
  for (const character of text) {
    if ('([{'.includes(character)) depth++
    if (')]}'.includes(character)) depth--
    if (character === ',' && depth === 0) parts.push('')
    else parts[parts.length - 1] += character
  }
  return parts.map(part => part.trim())
}

/** Longer texts are no lists. */
const maxListLength = 2000
/** Brackets inside brackets, at most. */
const maxDepth = 8

/** A list with its brackets, each part in one spelling; the parts of a set in order. Null where it is none. */
function listText (text: string, depth: number): string | null {
  if (text.length > maxListLength || depth > maxDepth) return null
  const found = /^(\\\{|[([])(.*)(\\\}|[)\]])$/s.exec(text)
  const inside = found ? found[2]! : text
  const parts = partsOf(inside)
  if (parts.length < 2 && !found) return null
  if (!found && !parts.every(part => numberText(part) !== null || /^[([].*[)\]]$/.test(part))) return null
  const spelled = parts.map(part => spelling(part, depth + 1))
  if (found?.[1] === '\\{') spelled.sort()
  return `${found?.[1] ?? ''}${spelled.join(',')}${found?.[3] ?? ''}`
}

function spelling (text: string, depth: number): string {
  return numberText(text) ?? listText(text, depth) ?? text
}

/** One spelling for equal answers: case, spaces, closing marks, LaTeX, numbers (1,000.0 is 1000; 1/2 is 0.5), lists. */
export function canonical (text: string): string {
  const number = numberText(text)
  if (number !== null) return number
  const plain = withoutTypesetting(text)
    .replaceAll(/\\frac\{([^{}]+)\}\{([^{}]+)\}/g, '$1/$2').replaceAll(/\^\{(\w)\}/g, '^$1')
    .trim().toLowerCase().replaceAll(/\s+/g, ' ').replace(/^\$+|[$.!]+$/g, '').trim()
  return spelling(plain, 0)
}
