/** Grammars of JSON's own parts: strings by length and format, white space, any value. Knows no schemas. */
import { choice, oneOf, optional, repeat, sequence, text, type Expression, type Rules } from './ebnf.js'
import { anyNumber } from './numbers.js'
import { noneOf, prefixTree } from './prefix-tree.js'

/** Longest bound of a string's length: each character of one is a state that the vocabulary is checked against. */
export const maxBoundedLength = 256

/** ASCII that a string holds as it is: no quote, backslash or control character. */
const plainAscii = '\\x20-\\x21\\x23-\\x5b\\x5d-\\x7f'

const bytes = (...ranges: readonly string[]): Expression => sequence(...ranges.map(oneOf))
const continuation = '\\x80-\\xbf'

/**
 * A character beyond ASCII, as the bytes of valid UTF-8 (RFC 3629): the matcher's own classes of such characters take
 * other bytes, too.
 */
export const beyondAscii = (rules: Rules): Expression => rules.rule('beyond_ascii', () => choice(
  bytes('\\xc2-\\xdf', continuation),
  // A byte alone would be read as a character; twice it is a class.
  bytes('\\xe0\\xe0', '\\xa0-\\xbf', continuation),
  bytes('\\xe1-\\xec\\xee-\\xef', continuation, continuation),
  bytes('\\xed\\xed', '\\x80-\\x9f', continuation),
  bytes('\\xf0\\xf0', '\\x90-\\xbf', continuation, continuation),
  bytes('\\xf1-\\xf3', continuation, continuation, continuation),
  bytes('\\xf4\\xf4', '\\x80-\\x8f', continuation, continuation)
))

/**
 * What follows a backslash. Halves of surrogate pairs are not written: characters beyond the first plane stand as they
 * are.
 */
function escape (rules: Rules): Expression {
  const hex = oneOf('0-9a-fA-F')
  return rules.rule('escape', () => choice(
    oneOf('"\\\\/bfnrt'),
    sequence(text('u'), choice(sequence(oneOf('0-9a-cA-Ce-fE-F'), hex), sequence(oneOf('dD'), oneOf('0-7'))), hex, hex)
  ))
}

/**
 * The rest of a string, with its closing quote. A rule for each number of characters that are left, so that all strings
 * share them.
 */
function restOfString (rules: Rules, min: number, max: number | null): Expression {
  if (max === 0) return text('"')
  return rules.rule(`string_${min}_${max ?? 'any'}`, () => {
    const next = restOfString(rules, Math.max(0, min - 1), max === null ? null : max - 1)
    return choice(...(min === 0 ? [text('"')] : []), sequence(oneOf(plainAscii), next),
      sequence(beyondAscii(rules), next), sequence(text('\\'), escape(rules), next))
  })
}

/** A string of so many characters. @param max null is no limit */
export const string = (rules: Rules, min = 0, max: number | null = null): Expression =>
  sequence(text('"'), restOfString(rules, min, max))

/**
 * A name that is none of some others, as an object's. Where there are others it has no escapes, in which the same name
 * can be written twice; and where one of them has a character beyond ASCII it has none in that place.
 */
export function nameExcept (rules: Rules, names: readonly string[]): Expression {
  if (names.length === 0) return string(rules)
  const anything: Expression = rules.rule('plain_rest', () =>
    choice(text('"'), sequence(choice(oneOf(plainAscii), beyondAscii(rules)), { kind: 'rule', name: 'plain_rest' })))
  // What is written with an escape needs no exception.
  const needsEscape = (character: string): boolean => JSON.stringify(character).length !== character.length + 2
  const others = noneOf(rules, prefixTree(names, needsEscape), (plain, ends) => [
    ...(ends ? [] : [text('"')]),
    sequence(oneOf(asciiWithout(plain)), anything),
    ...(plain.every(character => character <= '\x7f') ? [sequence(beyondAscii(rules), anything)] : [])
  ])
  return sequence(text('"'), others)
}

/** The class of ASCII that a string holds as it is, some of it left out. */
function asciiWithout (characters: readonly string[]): string {
  const kept = Array.from({ length: 0x60 }, (_, index) => String.fromCharCode(0x20 + index))
    .filter(one => one !== '"' && one !== '\\' && !characters.includes(one))
  return kept.map(one => `\\x${one.charCodeAt(0).toString(16)}`).join('')
}

/**
 * Spaces that a line begins with, at most: without an end to them a model that likes nothing that may follow would
 * write them for ever.
 */
const maxIndent = 24

const indent = (rules: Rules, max = maxIndent): Expression =>
  max === 0 ? text('') : rules.rule(`indent_${max}`, () => optional(sequence(text(' '), indent(rules, max - 1))))

/** Between the parts of a value: nothing, a space, or a new line, indented. */
export const space = (rules: Rules): Expression =>
  rules.rule('space', () => choice(text(''), text(' '), sequence(text('\n'), indent(rules))))

/** Items between brackets; or nothing, where that may be. @param items with their commas */
export function between (
  rules: Rules, open: string, items: Expression, close: string, mayBeEmpty: boolean
): Expression {
  const full = sequence(space(rules), items, space(rules), text(close))
  return sequence(text(open), mayBeEmpty ? choice(text(close), full) : full)
}

/** One more after others. */
export const following = (rules: Rules, item: Expression): Expression => sequence(text(','), space(rules), item)

const named = (rules: Rules, name: Expression, value: Expression): Expression =>
  sequence(name, text(':'), space(rules), value)

/** A property. */
export const property = (rules: Rules, name: string, value: Expression): Expression =>
  named(rules, text(JSON.stringify(name)), value)

/** Properties of other names. */
export const propertyExcept = (rules: Rules, names: readonly string[], value: Expression): Expression =>
  rules.separate(named(rules, nameExcept(rules, names), value))

/** Any object. */
export const anyObject = (rules: Rules): Expression => rules.rule('any_object', () => {
  const member = propertyExcept(rules, [], anyValue(rules))
  return between(rules, '{', sequence(member, repeat(following(rules, member), 0, null)), '}', true)
})

/** Any array. */
export const anyArray = (rules: Rules): Expression => rules.rule('any_array', () =>
  between(rules, '[', sequence(anyValue(rules), repeat(following(rules, anyValue(rules)), 0, null)), ']', true))

/** Any value. */
export const anyValue = (rules: Rules): Expression => rules.rule('any', () =>
  choice(anyObject(rules), anyArray(rules), string(rules), anyNumber(rules), text('true'), text('false'), text('null')))

const digits = (count: number): Expression => repeat(oneOf('0-9'), count, count)
const hex = (count: number): Expression => repeat(oneOf('0-9a-f'), count, count)

/** Years of four digits that have a 29th of February. */
const leapYear = (rules: Rules): Expression => choice(
  rules.separate(sequence(digits(2), choice(sequence(text('0'), oneOf('48')), sequence(oneOf('2468'), oneOf('048')),
    sequence(oneOf('13579'), oneOf('26'))))),
  rules.separate(sequence(choice(sequence(oneOf('02468'), oneOf('048')), sequence(oneOf('13579'), oneOf('26'))),
    text('00')))
)

/** Days of a month that all months of some length have. */
const day = (last: 28 | 30 | 31): Expression => choice(
  sequence(text('0'), oneOf('1-9')),
  ...(last === 28
    ? [sequence(text('1'), oneOf('0-9')), sequence(text('2'), oneOf('0-8'))]
    : [sequence(oneOf('12'), oneOf('0-9')), sequence(text('3'), oneOf(last === 30 ? '00' : '01'))])
)

const month = (first: string, second: string, last: 30 | 31): Expression =>
  sequence(choice(sequence(text('0'), oneOf(first)), sequence(text('1'), oneOf(second))), text('-'), day(last))

const date = (rules: Rules): Expression => choice(
  ...[month('13578', '02', 31), month('469', '11', 30), sequence(text('02-'), day(28))].map(rest =>
    rules.separate(sequence(digits(4), text('-'), rest))),
  rules.separate(sequence(leapYear(rules), text('-02-29')))
)

const sixtieth = sequence(oneOf('0-5'), oneOf('0-9'))
const hour = choice(sequence(oneOf('01'), oneOf('0-9')), sequence(text('2'), oneOf('0-3')))
const time = sequence(hour, text(':'), sixtieth, text(':'), sixtieth,
  optional(sequence(text('.'), repeat(oneOf('0-9'), 1, 9))),
  choice(text('Z'), sequence(oneOf('+\\-'), hour, text(':'), sixtieth)))

const octet = choice(
  text('0'),
  sequence(text('1'), repeat(oneOf('0-9'), 0, 2)),
  sequence(text('2'), choice(text(''), sequence(oneOf('0-4'), repeat(oneOf('0-9'), 0, 1)),
    sequence(text('5'), repeat(oneOf('0-5'), 0, 1)), oneOf('6-9'))),
  sequence(oneOf('3-9'), repeat(oneOf('0-9'), 0, 1))
)

const label = sequence(oneOf('a-zA-Z0-9'), repeat(sequence(optional(text('-')), oneOf('a-zA-Z0-9')), 0, null))
const host = sequence(label, repeat(sequence(text('.'), label), 1, 3))
const word = repeat(oneOf('a-zA-Z0-9_+\\-'), 1, null)

/**
 * Formats of strings that are enforced: name → grammar, quotes left out. Sources: RFC 3339, 4122, 2673; email is the
 * common part of RFC 5321.
 */
export const formats: Readonly<Record<string, (rules: Rules) => Expression>> = {
  date,
  time: () => time,
  'date-time': rules => sequence(rules.separate(date(rules)), text('T'), time),
  uuid: () => sequence(hex(8), text('-'), hex(4), text('-'), hex(4), text('-'), hex(4), text('-'), hex(12)),
  ipv4: () => sequence(octet, text('.'), octet, text('.'), octet, text('.'), octet),
  email: () => sequence(word, repeat(sequence(text('.'), word), 0, 1), text('@'), host),
  hostname: () => host
}
