/** The rule that a regular expression matches. Patterns are the operator's, never a request's. */
import { Type } from 'typebox'
import { compilePattern, PatternError, type Pattern } from '../../../pattern.js'
import { refuse } from '../../../validation.js'
import { defineRule } from './rule.js'

/** @throws RequestError for a pattern that RE2 cannot match */
export function rulePattern (pattern: string, flags: string): Pattern {
  try {
    return compilePattern(pattern, flags)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    throw refuse('pattern', `must be a regular expression that RE2 can match (${error.message})`, pattern)
  }
}

/** 1 where the pattern matches somewhere in the text, else 0. */
export const regex = defineRule({
  fields: {
    pattern: Type.String({ minLength: 1, maxLength: 1000 }),
    /** Any of i (case), m (lines), s (dot matches newlines), u (always on). */
    flags: Type.Optional(Type.String({ pattern: '^(?!.*(.).*\\1)[imsu]*$' }))
  },
  members: ['outcome', 'prefix'],
  compile ({ pattern, flags = '' }) {
    const compiled = rulePattern(pattern, flags)
    return ({ text }) => compiled.test(text) ? 1 : 0
  }
})
