/** Rules that count: tokens, words, bullet points. */
import { Type } from 'typebox'
import { refuse } from '../../../validation.js'
import { defineRule, type Rule } from './rule.js'
import { unspaced } from './words.js'

/** Number of tokens of the answer, not a share: a weight of −1 prefers short answers. */
export const length = defineRule({
  fields: {},
  members: ['outcome', 'prefix'],
  unscaled: true,
  instant: true,
  compile: () => ({ tokens }) => tokens.length
})

const segmenter = new Intl.Segmenter('en', { granularity: 'word' })

/** Words as Unicode cuts them (UAX 29), with a dictionary where a script has no spaces. */
export function countWords (text: string): number {
  let count = 0
  for (const { isWordLike } of segmenter.segment(text)) if (isWordLike) count++
  return count
}

/** Lines that begin with a bullet (-, *, +, •) or a number (1. or 1)) and say something. */
export function countBullets (text: string): number {
  return text.match(/^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S/gmu)?.length ?? 0
}

/** 1 where a count lies within the limits, else 0. An unfinished answer has not broken a minimum yet: more may come. */
function countRule (count: (text: string) => number): Rule {
  return defineRule({
    fields: { min: Type.Optional(Type.Integer({ minimum: 0 })), max: Type.Optional(Type.Integer({ minimum: 0 })) },
    members: ['outcome', 'prefix'],
    compile ({ min, max }) {
      if (min === undefined && max === undefined) throw refuse('min', 'or max is required', undefined)
      if (min !== undefined && max !== undefined && min > max) throw refuse('min', `must be at most max (${max})`, min)
      return ({ text, final }) => {
        const counted = count(text)
        return (final && counted < (min ?? 0)) || counted > (max ?? Infinity) ? 0 : 1
      }
    },
    // Counts never fall as a text grows, but for words of scripts without spaces, which what follows may join.
    compileCeiling: ({ max = Infinity }) => text => !unspaced.test(text) && count(text) > max ? 0 : 1
  })
}

export const wordCount = countRule(countWords)
export const bulletCount = countRule(countBullets)
