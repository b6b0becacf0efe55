/** Puts tokenised lower-case text into ordinary spelling. */

/**
 * "it's good , but n't great ." → "It's good, but n't great.": no space before closing punctuation or inside brackets,
 * one space elsewhere, capitals at the start of sentences and for "i".
 */
export function tidy (text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replaceAll(/ ([,.;:!?)\]…]|'s\b|n't\b)/g, '$1')
    .replaceAll(/([([]) /g, '$1')
    .replaceAll(/\bi\b(?!\.)/g, 'I')
    .replaceAll(/(^|[.!?] )(["'(]*)(\p{Ll})/gu, (_all, before: string, quotes: string, letter: string) =>
      `${before}${quotes}${letter.toUpperCase()}`)
}
