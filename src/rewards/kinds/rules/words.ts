/** Rules about words: which an answer must or must not say, and how many it may have. */
import { Type } from 'typebox'
import { defineRule } from './rule.js'

const phrases = Type.Array(Type.String({ minLength: 1, maxLength: 200, pattern: '\\S' }),
  { minItems: 1, maxItems: 1000 })

/** Scripts that put no spaces between words: a phrase may begin and end inside a run of their letters. */
export const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u
const wordCharacter = /[\p{L}\p{M}\p{N}_]/u

/** Matches a phrase where it stands as whole words, in any case, with any white space between its words. */
export function phrasePattern (phrase: string): RegExp {
  const words = phrase.trim().split(/\s+/u)
  const edge = (character: string): boolean => wordCharacter.test(character) && !unspaced.test(character)
  const characters = [...words.join('')]
  const before = edge(characters[0]!) ? '(?<![\\p{L}\\p{M}\\p{N}_])' : ''
  const after = edge(characters.at(-1)!) ? '(?![\\p{L}\\p{M}\\p{N}_])' : ''
  return new RegExp(
    `${before}${words.map(word => word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('\\s+')}${after}`, 'iu'
  )
}

/** Share of the phrases that the answer mentions. */
export const mustMention = defineRule({
  fields: { phrases },
  members: ['outcome', 'prefix'],
  compile (fields) {
    const patterns = fields.phrases.map(phrasePattern)
    return ({ text }) => patterns.filter(pattern => pattern.test(text)).length / patterns.length
  }
})

/** Share of the phrases that the answer does without. */
export const bannedWords = defineRule({
  fields: { phrases },
  members: ['outcome', 'prefix'],
  compile (fields) {
    const patterns = fields.phrases.map(phrasePattern)
    return ({ text }) => patterns.filter(pattern => !pattern.test(text)).length / patterns.length
  },
  // A phrase at the very end may yet become part of a longer word.
  compileCeiling (fields) {
    const patterns = fields.phrases.map(phrase => new RegExp(phrasePattern(phrase), 'giu'))
    const isSaid = (pattern: RegExp, text: string): boolean =>
      [...text.matchAll(pattern)].some(({ index, 0: { length } }) => index + length < text.length)
    return text => patterns.filter(pattern => !isSaid(pattern, text)).length / patterns.length
  }
})
