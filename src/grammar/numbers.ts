/**
 * Grammars of decimal numbers between two bounds. Digits are limited, so that what is written is always a finite
 * number. Knows no schemas.
 */
import { choice, oneOf, optional, repeat, sequence, text, type Expression, type Rules } from './ebnf.js'

/** Digits before the point, at most: as many as any double keeps. */
const maxDigits = 15
/** Digits after it, at most: as many as the shortest way to write a double of everyday size has. */
const maxFractionDigits = 20

/** Zeros that may follow where nothing else may. */
const maxZeros = 3

/** Largest whole number that is written. */
export const maxInteger = 10n ** BigInt(maxDigits) - 1n

const digit = oneOf('0-9')
const digitsFrom = (low: number, high: number): Expression => low === high ? text(String(low)) : oneOf(`${low}-${high}`)
const oneDigit = (some: readonly number[]): Expression =>
  some.length === 1 ? text(String(some[0])) : oneOf(some.join(''))

/** At most so many digits. Written once for all numbers. */
const someDigits = (rules: Rules, max: number): Expression =>
  max <= 0 ? text('') : rules.rule(`digits_${max}`, () => optional(sequence(digit, someDigits(rules, max - 1))))

/** Which bounds a number's digits are those of. */
interface Tight { readonly low: boolean, readonly high: boolean }

/** What may follow the whole part of a number, by the bounds that it is equal to; null where it may not be so. */
type After = (tight: Tight) => Expression | null

/**
 * Digits that are still to come: any number of them between two counts, and those that keep to a bound whose first
 * digits were read.
 */
interface Remaining {
  readonly counts: { readonly min: number, readonly max: number } | null
  readonly low: string | null
  readonly high: string | null
}

/** Both bounds are of the same length and were read alike so far. */
const isBetween = ({ low, high }: Remaining): boolean => low !== null && high !== null && low.length === high.length

/** What remains after a digit. */
function afterDigit (remaining: Remaining, next: number): Remaining {
  const { counts, low, high } = remaining
  const [ownLow, ownHigh] = [low ? Number(low[0]) : null, high ? Number(high[0]) : null]
  const between = isBetween(remaining)
  const meetsLow = ownLow !== null && (next === ownLow || (next > ownLow && !(between && next > ownHigh!)))
  const meetsHigh = ownHigh !== null && (next === ownHigh || (next < ownHigh && !(between && next < ownLow!)))
  const lengths = [
    ...(counts && counts.max > 0 ? [Math.max(0, counts.min - 1), counts.max - 1] : []),
    ...(meetsLow && next !== ownLow && !(between && next === ownHigh) ? [low!.length - 1] : []),
    ...(meetsHigh && next !== ownHigh && !(between && next === ownLow) ? [high!.length - 1] : [])
  ]
  return {
    counts: lengths.length === 0 ? null : { min: Math.min(...lengths), max: Math.max(...lengths) },
    low: next === ownLow ? low!.slice(1) : null,
    high: next === ownHigh ? high!.slice(1) : null
  }
}

/** The remaining digits, branched one by one: no two options begin with the same digit. */
function digits (rules: Rules, remaining: Remaining, from: number, after: After): Expression | null {
  const { counts, low, high } = remaining
  const free = after({ low: false, high: false })!
  if (counts && low === null && high === null) {
    return sequence(repeat(digit, counts.min, counts.min), someDigits(rules, counts.max - counts.min), free)
  }
  const ends =
    low === '' || high === '' ? after({ low: low === '', high: high === '' }) : counts?.min === 0 ? free : null
  const groups = new Map<string, { readonly digits: number[], readonly rest: Remaining }>()
  for (let next = from; next <= 9; next++) {
    const rest = afterDigit(remaining, next)
    const key = JSON.stringify(rest)
    groups.set(key, { digits: [...groups.get(key)?.digits ?? [], next], rest })
  }
  const options = [...groups.values()].flatMap(group => {
    if (!group.rest.counts && group.rest.low === null && group.rest.high === null) return []
    const rest = digits(rules, group.rest, 0, after)
    return rest ? [sequence(oneDigit(group.digits), rest)] : []
  })
  const all = [...(ends ? [ends] : []), ...options]
  return all.length === 0 ? null : choice(...all)
}

/** Whole numbers from `low` ≥ 0 to `high` ≥ low, without leading zeros, and what follows each. */
function wholeBetween (rules: Rules, low: bigint, high: bigint, after: After): Expression[] {
  if (low === 0n) {
    const zero = after({ low: true, high: high === 0n })
    // One is not the lower bound any more.
    const others = high === 0n ? [] : wholeBetween(rules, 1n, high, tight => after({ low: false, high: tight.high }))
    return [...(zero ? [sequence(text('0'), zero)] : []), ...others]
  }
  const [first, last] = [String(low), String(high)]
  const counts = last.length - first.length > 1 ? { min: first.length + 1, max: last.length - 1 } : null
  const written = digits(rules, { counts, low: first, high: last }, 1, after)
  return written ? [written] : []
}

const minus = (of: readonly Expression[]): Expression[] => of.length === 0 ? [] : [sequence(text('-'), choice(...of))]

const nothing: After = () => text('')

/** Whole numbers from `low` to `high`, which `maxInteger` bounds both ways; null where there is none. */
export function integersBetween (rules: Rules, low: bigint, high: bigint): Expression | null {
  const [from, to] = [low < -maxInteger ? -maxInteger : low, high > maxInteger ? maxInteger : high]
  if (from > to) return null
  return choice(
    ...minus(from < 0n ? wholeBetween(rules, to < 0n ? -to : 1n, -from, nothing) : []),
    ...(to >= 0n ? wholeBetween(rules, from > 0n ? from : 0n, to, nothing) : [])
  )
}

/** A bound of numbers that are not whole. */
export interface Bound { readonly value: number, readonly exclusive: boolean }

/** A bound's digits before the point, and after it as far as they are not 0. */
interface Digits { readonly whole: bigint, readonly fraction: string, readonly exclusive: boolean }

/** Digits after the point of a non-negative number, written out. */
function fractionOf (value: number): string {
  const [mantissa, exponent = '0'] = String(value).split('e') as [string, string?]
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?]
  const shift = Number(exponent)
  return shift < 0 ? '0'.repeat(Math.max(0, -shift - whole.length)) + whole + fraction : fraction.slice(shift)
}

/** Whether a bound has no more digits after the point than numbers are written with. */
export const isWritable = (value: number): boolean => Number.isInteger(value) ||
  fractionOf(Math.abs(value)).length <= maxFractionDigits

const digitsOf = (
  { value, exclusive }: Bound
): Digits => ({ whole: BigInt(Math.trunc(value)), fraction: fractionOf(value), exclusive })

/** Fractions between bounds; null is no bound. */
class Fractions {
  readonly #rules: Rules
  readonly #low: Digits | null
  readonly #high: Digits | null

  constructor (rules: Rules, low: Digits | null, high: Digits | null) {
    this.#rules = rules
    this.#low = low
    this.#high = high
  }

  /**
   * Whether a fraction may end before a digit.
   * @param low whether its digits are so far those of the lower bound; `high` alike
   */
  #mayEnd (at: number, low: boolean, high: boolean): boolean {
    if (low && (at < this.#low!.fraction.length || this.#low!.exclusive)) return false
    return !(high && at >= this.#high!.fraction.length && this.#high!.exclusive)
  }

  #more (at: number): Expression { return someDigits(this.#rules, maxFractionDigits - at) }

  /** Digits from a position on, at least one. */
  #digits (at: number, low: boolean, high: boolean): Expression[] {
    const [lowIsRead, highIsRead] = [low && at >= this.#low!.fraction.length, high && at >= this.#high!.fraction.length]
    if (at === maxFractionDigits || (highIsRead && low)) return []
    // What is equal to the upper bound goes on with zeros only.
    if (highIsRead) return this.#high!.exclusive ? [] : [repeat(text('0'), 1, maxZeros)]
    if (lowIsRead && !this.#low!.exclusive) return this.#digits(at, false, high)
    if (lowIsRead && !high) return [sequence(repeat(text('0'), 0, maxZeros), oneOf('1-9'), this.#more(at + maxZeros))]
    const min = low ? Number(this.#low!.fraction[at] ?? '0') : 0
    const max = high ? Number(this.#high!.fraction[at]) : 9
    const free = { from: low ? min + 1 : min, to: high ? max - 1 : max }
    const tight = [...new Set([...(low ? [min] : []), ...(high ? [max] : [])])].filter(one =>
      one >= min && one <= max)
    return [
      ...(free.from <= free.to ? [sequence(digitsFrom(free.from, free.to), this.#more(at + 1))] : []),
      ...tight.flatMap(one => {
        const [stillLow, stillHigh] = [low && one === min, high && one === max]
        const rest = [...(this.#mayEnd(at + 1, stillLow, stillHigh) ? [text('')] : []),
          ...this.#digits(at + 1, stillLow, stillHigh)]
        return rest.length === 0 ? [] : [sequence(text(String(one)), choice(...rest))]
      })
    ]
  }

  /** Nothing, or a point and digits; null where no fraction is between the bounds. */
  expression (): Expression | null {
    const [low, high] = [this.#low !== null, this.#high !== null]
    const written = this.#digits(0, low, high)
    const options = [...(this.#mayEnd(0, low, high) ? [text('')] : []),
      ...(written.length === 0 ? [] : [sequence(text('.'), choice(...written))])]
    return options.length === 0 ? null : choice(...options)
  }
}

const outermost: Digits = { whole: maxInteger, fraction: '', exclusive: false }
const zero: Digits = { whole: 0n, fraction: '', exclusive: false }

/**
 * Numbers between two bounds, without exponents; null where there is none.
 * @param lower or
 * @param upper null: no bound but that of digits
 */
export function numbersBetween (rules: Rules, lower: Bound | null, upper: Bound | null): Expression | null {
  const max = Number(maxInteger)
  if ((lower && lower.value > max) || (upper && upper.value < -max)) return null
  const [low, high] = [lower && lower.value < -max ? null : lower, upper && upper.value > max ? null : upper]
  const magnitudes = (from: Digits, to: Digits): Expression[] => from.whole > to.whole
    ? []
    : wholeBetween(rules, from.whole, to.whole, tight =>
      new Fractions(rules, tight.low ? from : null, tight.high && to !== outermost ? to : null).expression())
  const negated = ({ value, exclusive }: Bound): Digits => digitsOf({ value: -value, exclusive })
  const [isPositive, isNegative] = [low !== null && low.value >= 0, high !== null && high.value < 0]
  const options = [
    // Zero is not written with a minus.
    ...minus(isPositive
      ? []
      : magnitudes(isNegative ? negated(high!) : { ...zero, exclusive: true },
        low === null ? outermost : negated(low))),
    ...(isNegative ? [] : magnitudes(isPositive ? digitsOf(low!) : zero, high === null ? outermost : digitsOf(high)))
  ]
  return options.length === 0 ? null : choice(...options)
}

/** Any whole number. */
export const anyInteger = (rules: Rules): Expression => rules.rule('integer', () =>
  choice(text('0'), sequence(optional(text('-')), oneOf('1-9'), someDigits(rules, maxDigits - 1))))

/** Any number that JSON can write. */
export const anyNumber = (rules: Rules): Expression => rules.rule('number', () => sequence(
  optional(text('-')),
  choice(text('0'), sequence(oneOf('1-9'), someDigits(rules, maxDigits - 1))),
  optional(sequence(text('.'), digit, someDigits(rules, maxFractionDigits - 1))),
  optional(sequence(oneOf('eE'), optional(oneOf('+\\-')), repeat(digit, 1, 2)))
))
