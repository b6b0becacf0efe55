/**
 * Texts that know which of their characters a caller wrote, through everything that a template does with them. Places
 * are in UTF-16 units.
 */

/** From, and up to where, a caller wrote, one after the other: in order, none touching the next. */
type Ranges = readonly number[]

const none: Ranges = []

/** A template's text. */
export class Text {
  readonly value: string
  /** What of it a caller wrote. */
  readonly ranges: Ranges

  constructor (value: string, ranges: Ranges = none) {
    this.value = value
    this.ranges = ranges
  }

  get length (): number { return this.value.length }

  /** A part, by places from 0 to the length. */
  slice (from: number, to = this.value.length): Text {
    const value = this.value.slice(from, to)
    if (this.ranges.length === 0 || value === '') return new Text(value)
    const ranges: number[] = []
    for (let index = 0; index < this.ranges.length; index += 2) {
      const [start, end] = [Math.max(this.ranges[index]!, from), Math.min(this.ranges[index + 1]!, to)]
      if (start < end) ranges.push(start - from, end - from)
    }
    return new Text(value, ranges)
  }

  /** Another text in this one's place: a caller's where any of this one is. */
  with (value: string): Text {
    return this.ranges.length > 0 ? callersText(value) : new Text(value)
  }
}

/** A text that a caller wrote. */
export const callersText = (value: string): Text => new Text(value, value === '' ? none : [0, value.length])

/** How many code points a text has, and where in it each begins, in units. */
export function codePoints ({ value }: Text): { readonly count: number, readonly place: (index: number) => number } {
  if (!/[\ud800-\udfff]/.test(value)) return { count: value.length, place: index => index }
  const places: number[] = []
  for (let at = 0; at < value.length; at += value.codePointAt(at)! > 0xFFFF ? 2 : 1) places.push(at)
  return { count: places.length, place: index => places[index] ?? value.length }
}

/** Texts one behind the other. */
export function concat (parts: readonly Text[]): Text {
  const ranges: number[] = []
  let length = 0
  for (const part of parts) {
    for (let index = 0; index < part.ranges.length; index += 2) {
      const [start, end] = [part.ranges[index]! + length, part.ranges[index + 1]! + length]
      if (ranges.at(-1) === start) ranges[ranges.length - 1] = end
      else ranges.push(start, end)
    }
    length += part.value.length
  }
  return new Text(parts.map(({ value }) => value).join(''), ranges)
}

/** Texts with another between each two. */
export const joinTexts = (parts: readonly Text[], between: Text): Text =>
  concat(parts.flatMap((part, index) => index === 0 ? [part] : [between, part]))
