/**
 * Grammars of arrays and objects from those of their parts: which may be left out, how many there are, where commas go.
 * Knows no schemas.
 */
import { choice, repeat, sequence, text, type Expression, type Rules } from './ebnf.js'
import { between, following } from './json-text.js'

/** Items of an array that one rule holds inside each other. */
const maxNested = 16

/**
 * An array.
 * @param first the first items, each of its own form
 * @param rest what further ones are; null where there are none
 * @param min how many there must be
 * @param max at least one; Infinity is no limit
 */
export function arrayOf (
  rules: Rules, first: readonly Expression[], rest: Expression | null, min: number, max: number
): Expression {
  const described = Math.min(first.length, max)
  const counted = Math.max(1, described)
  // From the last described item on: what may follow it.
  let after = counted >= max
    ? text('')
    : repeat(following(rules, rest!), Math.max(0, min - counted), max === Infinity ? null : max - counted)
  for (let count = described - 1; count >= 1; count--) {
    const next = sequence(following(rules, first[count]!), after)
    after = count >= min ? choice(text(''), next) : next
    // The matcher reads nested groups by recursion.
    if (count % maxNested === 0) after = rules.separate(after)
  }
  return between(rules, '[', sequence(first[0] ?? rest!, after), ']', min === 0)
}

/**
 * An object.
 * @param members its properties in order, with their names
 * @param other a property of another name, of which there may be many at the end; null where there are none
 */
export function objectOf (
  rules: Rules, members: ReadonlyArray<{ readonly isRequired: boolean, readonly value: Expression }>,
  other: Expression | null
): Expression {
  const more = other ? repeat(following(rules, other), 0, null) : text('')
  if (members.length > 0 && members.every(member => member.isRequired)) {
    const [first, ...others] = members.map(member => member.value)
    return between(rules, '{', sequence(first!, ...others.map(value => following(rules, value)), more), '}', false)
  }
  // From the last property on: what may follow where something stands before it, and where nothing does.
  let after: Expression = more
  const begins: Expression[] = other ? [sequence(other, more)] : []
  let mayBeEmpty = true
  for (const { isRequired, value: own } of [...members].reverse()) {
    const value = rules.separate(own)
    const here = sequence(value, after)
    if (isRequired) begins.length = 0
    begins.push(here)
    mayBeEmpty &&= !isRequired
    after = rules.separate(
      isRequired ? sequence(following(rules, value), after) : choice(sequence(following(rules, value), after), after)
    )
  }
  return begins.length > 0 ? between(rules, '{', choice(...begins.reverse()), '}', mayBeEmpty) : text('{}')
}
