/** Rewards that are rules over the answer's text or tokens. They serve whole answers and prefixes alike and cost nothing. */
import { RequestError } from '../errors.js'
import type { LengthDescriptor, Normalization, RegexDescriptor } from './descriptor.js'
import type { Answer, RewardMember } from './scorer.js'

/** What a 0/1 rule is standardised with where its descriptor says nothing: a match is +1, no match −1. */
const binaryNormalization: Normalization = { mean: 0.5, std: 0.5, pool: 'none: a match is +1, no match −1' }

/** Statistics that a rule's member is standardised with. */
export function ruleNormalization (descriptor: LengthDescriptor | RegexDescriptor, member: RewardMember): Normalization {
  return descriptor.members?.[member].normalization ?? binaryNormalization
}

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

/**
 * The compiled pattern of a regex rule. Patterns are the operator's, never a request's.
 * @throws RequestError for a pattern that does not compile or could take exponential time
 */
export function compilePattern ({ name, pattern, flags = '' }: RegexDescriptor): RegExp {
  if (hasNestedRepetition(pattern)) {
    throw new RequestError('invalid_request', `reward ${name}: pattern must not repeat a group that repeats something itself (matching could take exponential time); got ${JSON.stringify(pattern)}`)
  }
  try {
    return new RegExp(pattern, flags)
  } catch (error) {
    throw new RequestError('invalid_request', `reward ${name}: ${(error as Error).message}`, { cause: error })
  }
}

/**
 * Raw scores of a rule: `length` is the number of the answer's tokens, so a weight of −1 prefers short answers;
 * `regex` is 1 where the pattern matches somewhere in the text, else 0.
 */
export function ruleScorer (descriptor: LengthDescriptor | RegexDescriptor): (answers: readonly Answer[]) => number[] {
  if (descriptor.rule === 'length') return answers => answers.map(answer => answer.tokens.length)
  const pattern = compilePattern(descriptor)
  return answers => answers.map(answer => pattern.test(answer.text) ? 1 : 0)
}
