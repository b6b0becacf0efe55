/**
 * How numbers and formulas are typed, made uniform: minus signs, digits, thin spaces, LaTeX that only sets type. What
 * an answer says is untouched.
 */

const mathSpace = /\\(?:[,;:!> ]|quad|qquad)|[\u00a0\u2009\u202f]|~/g

/** `½` is 1/2; behind a digit it is the fraction of a mixed number. */
const vulgarFraction = /(\d?)([¼-¾⅐-⅞])/g

/** One code point for each digit and minus sign. The length of a text may change. */
export function plainSigns (text: string): string {
  return text
    .replaceAll(/[−‒–﹣－]/g, '-')
    .replaceAll(/[０-９．，]/g, sign => String.fromCharCode(sign.charCodeAt(0) - 0xfee0))
    .replaceAll(vulgarFraction, (_, digit: string, fraction: string) =>
      `${digit}${digit === '' ? '' : ' '}${fraction.normalize('NFKC').replace('⁄', '/')}`)
    .replaceAll(/(\d)(?:\\[,;: !]|[\u00a0\u2009\u202f])(?=\d{3}(?!\d))/g, '$1,')
    .replaceAll('{,}', ',')
}

/** A formula without what only sets type: spaces, sizes, fonts, delimiters of formulas. Plain text is left alone. */
export function withoutTypesetting (text: string): string {
  return plainSigns(text)
    .replaceAll(/\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits)(?![a-zA-Z])/g, '')
    .replaceAll(mathSpace, ' ')
    .replaceAll(/\\(?:text|mathrm|mathbf|textbf|textit|mathit|operatorname|mbox|hbox|boldsymbol)\{([^{}]*)\}/g, '$1')
    .replaceAll(/\\[dtc]frac(?![a-zA-Z])/g, '\\frac')
    .replaceAll(/\^(?:\\circ(?![a-zA-Z])|\{\s*\\circ\s*\})|\\degree(?![a-zA-Z])/g, '°')
    .replaceAll(/\\([$%#&_])/g, '$1')
    .replaceAll(/\\[()[\]]/g, '')
}

/** What braces hold, from the one that opens at `open`; null if they do not close. */
export function braced (text: string, open: number): string | null {
  let depth = 0
  for (let at = open; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '{') depth++
    else if (text[at] === '}' && --depth === 0) return text.slice(open + 1, at)
  }
  return null
}
