/**
 * Regular expressions: the rule, and how a pattern is compiled wherever a descriptor holds one. Patterns are the
 * operator's, never a request's.
 */
import { Type } from 'typebox'
import { refuse } from '../../../validation.js'
import { defineRule } from './rule.js'

/**
 * True if a pattern repeats a group without limit that itself repeats something without limit, as in `(a+)*`: matching
 * time can then grow exponentially with the text. A plain scan: it also refuses some harmless patterns and does not see
 * ambiguous alternatives such as `(a|a)*`.
 */
export function hasNestedRepetition (pattern: string): boolean {
  /** Per open group: whether it holds an unlimited repetition. */
  const open: boolean[] = [false]
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!
    if (character === '\\') at++
    else if (character === '[') at = classEnd(pattern, at)
    else if (character === '(') open.push(false)
    else if (character === ')') {
      const holds = open.pop() ?? false
      if (holds && repeatsFrom(pattern, at + 1)) return true
      if (holds && open.length > 0) open[open.length - 1] = true
    } else if (repeatsFrom(pattern, at)) open[open.length - 1] = true
  }
  return false
}

/** Index of the bracket that closes the character class opened at `start`. */
function classEnd (pattern: string, start: number): number {
  let at = start + 1
  while (at < pattern.length && pattern[at] !== ']') at += pattern[at] === '\\' ? 2 : 1
  return at
}

/** True where an unlimited quantifier (`*`, `+`, `{n,}`) stands. */
function repeatsFrom (pattern: string, at: number): boolean {
  return pattern[at] === '*' || pattern[at] === '+' || /^\{\d+,\}/.test(pattern.slice(at, at + 12))
}

/** @throws RequestError for a pattern that does not compile or could take exponential time */
export function compilePattern (pattern: string, flags: string): RegExp {
  if (hasNestedRepetition(pattern)) {
    throw refuse('pattern',
      'must not repeat a group that itself contains a repetition (matching could take exponential time)', pattern)
  }
  try {
    return new RegExp(pattern, flags)
  } catch (error) {
    throw refuse('pattern', `must be a valid regular expression (${(error as Error).message})`, pattern)
  }
}

/** 1 where the pattern matches somewhere in the text, else 0. */
export const regex = defineRule({
  fields: {
    pattern: Type.String({ minLength: 1, maxLength: 1000 }),
    /** Any of i (case), m (lines), s (dot matches newlines), u (code points). */
    flags: Type.Optional(Type.String({ pattern: '^(?!.*(.).*\\1)[imsu]*$' }))
  },
  members: ['outcome', 'prefix'],
  compile ({ pattern, flags = '' }) {
    const compiled = compilePattern(pattern, flags)
    return ({ text }) => compiled.test(text) ? 1 : 0
  }
})
