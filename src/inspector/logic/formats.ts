/** Numbers and tokens as the page writes them. */

/** A reward with its sign, two decimals; "–" for none. */
export const signed = (value: number | null | undefined): string =>
  value === null || value === undefined || Number.isNaN(value)
    ? '–'
    : `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`

/** A number of given decimals with a proper minus; "–" for none. */
export const decimal = (value: number | null | undefined, digits = 2): string =>
  value === null || value === undefined || Number.isNaN(value) ? '–' : value.toFixed(digits).replace('-', '−')

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** A count in groups: 1,080. */
export const count = (value: number): string => grouped.format(value)

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 9950 ? 2 : 1)} s`

/** A share as percent: 22 %, 0.4 %. */
export function percent (share: number): string {
  const value = share * 100
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value >= 0.1 ? value.toFixed(1) : '<0.1'} %`
}

/** "1 token", "2 tokens". */
export const plural = (n: number, word: string): string => `${count(n)} ${word}${n === 1 ? '' : 's'}`

/** Text in one line. */
export const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim()

/** Its last characters, beginning with "…" where something is left out. */
export const tail = (text: string, length: number): string =>
  text.length > length ? `…${text.slice(text.length - length + 1)}` : text

/** Its first characters, ending with "…" where something is left out. */
export const cut = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text

// eslint-disable-next-line no-control-regex -- they are what is looked for
const controls = /[\u0000-\u0008\u000b-\u001f\u007f\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Text in which control and direction characters can be seen: `␛`, `⟨U+202E⟩`. Line breaks and tabs stay. */
export const visible = (text: string): string => text.replaceAll(controls, character => {
  const code = character.codePointAt(0)!
  return code < 0x20 ? String.fromCodePoint(0x2400 + code) : `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`
})

/** A token's text with its white space shown: `␣dull`, `↵`. */
export const tokenText = (piece: string): string =>
  piece === '' ? '∅' : visible(piece).replaceAll(' ', '␣').replaceAll('\t', '⇥').replaceAll('\n', '↵')
