/**
 * Where in a text its answer stands: in the last box, behind a mark, or as its last number. What an answer is worth is
 * `value.ts`, when two are equal `canonical.ts`.
 */
import { braced, plainSigns, withoutTypesetting } from './notation.js'
import { numberText } from './value.js'

const box = /\\f?box(?:ed)?\s*(?=\{)|\\boxed\s*(?=\d)/g

/** Where the last box begins, behind its command; −1 where there is none. */
function lastBox (text: string): number {
  let at = -1
  for (const { index, 0: { length } } of text.matchAll(box)) at = index + length
  return at
}

const boxAt = (text: string, at: number): string | null => text[at] === '{' ? braced(text, at) : text[at] ?? null

/** What the last `\boxed{…}` holds; null where there is none, or it does not close. */
export function lastBoxed (text: string): string | null {
  const at = lastBox(text)
  return at < 0 ? null : boxAt(text, at)
}

/** Decimals with their commas, which `separate` reads. */
const run = String.raw`(?:\d+(?:,\d+)*(?:\.\d+)?|\.\d+)`
const group = String.raw`\{\s?-?${run}\s?\}`
const command = String.raw`(?:\\[dtc]?frac\s?(?:${group}|\d)\s?(?:${group}|\d)|\\sqrt\s?(?:${group}|\d))`
const exponent = String.raw`\s?\^\s?(?:\{\s?-?\d{1,3}\s?\}|-?\d{1,3})`
const powerOfTen = String.raw`\s?(?:\\times|\\cdot|[×·*])\s?10${exponent}`
const plain = String.raw`${run}(?:e[-+]?\d{1,3}(?![\w.]))?(?:${powerOfTen}|${exponent})?`
const mixed = String.raw`\d{1,9}\s\d{1,9}\s?/\s?\d{1,9}(?![\d/])`

/**
 * Numbers of running text. A sign belongs to one only where nothing before it could be joined by it: not in ranges
 * (5-10) nor in words (COVID-19). Digits behind a letter are part of a word (H2O), those in front of one are not (5cm);
 * exponents and indices are none.
 */
const number = new RegExp(
  String.raw`(?:(?<![\p{L}\p{M}\p{N}_^)}\]])[-+])?(?:\\?[$€£¥](?:-(?=[\d.]))?)?` +
  String.raw`(?<![\p{L}\p{M}\p{N}_^]|[_^]\{-?|\^-|\d\.)` +
  String.raw`(?:(?:${run}\s?)?${command}|${mixed}|${plain}(?:\s?/\s?${run}(?![\d/]))?)`, 'giu')

/** A run of decimals is one number where its commas part thousands, else a list. */
const separate = (found: string): string[] =>
  /^[^,]*?\d{1,3}(?:,\d{3})+(?!,?\d)/.test(found) ? [found] : found.split(',')

interface Found { readonly text: string, readonly index: number }

/** Every number in running text, as it is written, with where it stands. */
function numbersIn (text: string): Found[] {
  return [...text.matchAll(number)].flatMap(({ index, 0: found }) =>
    separate(found).map(one => ({ text: one.trim(), index })))
}

/** Formulas in running text. */
const formula = /\\\([^]{1,200}?\\\)|\\\[[^]{1,200}?\\\]|\$\$[^$]{1,200}\$\$|\$[^$\n]{1,200}\$/g

/** The number that a formula is, or its only one where nothing is computed with it; null where there is none. */
function formulaNumber (content: string): string | null {
  if (numberText(content) !== null) return content
  const plain = withoutTypesetting(content)
  const found = numbersIn(plain)
  return found.length === 1 && !/[\\^_+*=<>√π!]|\d[a-z]/i.test(plain) ? found[0]!.text : null
}

/**
 * The last number of running text, as it is written; where it stands in a formula (`$…$`, `\(…\)`, `\[…\]`), what the
 * formula is. Null where there is none.
 */
export function lastNumber (text: string): string | null {
  const plain = plainSigns(text)
  const last = numbersIn(plain).at(-1)
  if (!last) return null
  const around = [...plain.matchAll(formula)].find(({ index, 0: { length } }) =>
    index <= last.index && last.index < index + length - 1)
  return around ? formulaNumber(around[0].replace(/^\\?[($[]{1,2}|\\?[)$\]]{1,2}$/g, '')) : last.text
}

/**
 * The number a text ends in, in one spelling: the first after the last `####` (as GSM8K marks it) or that of the last
 * `\boxed{…}` if there is one, else the last of the text.
 */
function finalText (text: string): string | null {
  const [marked, boxed] = [text.lastIndexOf('####'), lastBox(text)]
  if (marked < 0 && boxed < 0) return lastNumber(text)
  if (marked > boxed) return numbersIn(plainSigns(text.slice(marked)))[0]?.text ?? null
  const content = boxAt(text, boxed)
  return content === null ? null : formulaNumber(content)
}

/** The value of the number that a text ends in; of a percentage the number before its sign. Null: none. */
export function finalNumber (text: string): number | null {
  const found = finalText(text)
  const written = found === null ? null : numberText(found)
  return written === null ? null : Number(written.replace('%', ''))
}
