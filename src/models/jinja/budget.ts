/** What rendering a template may cost: steps, and characters of one text. A template that loops ends with an error. */
import { TemplateError } from './lexer.js'
import { Text } from './text.js'
import { Dict, List, type Value } from './values.js'

/** A rendering that is stopped. */
export class TemplateLimitError extends TemplateError {}

/** Steps of a rendering, and more for each character that it is given. */
const [baseSteps, stepsPerCharacter] = [200_000, 20]
/** Longest text that it may make, and more for each character that it is given. */
const [baseLength, lengthPerCharacter] = [1_000_000, 8]
/** Characters of a text, or items of a list, that count as a step. */
const perStep = 64

/** The characters of all texts in a value. */
export function sizeOf (value: Value): number {
  let size = 0
  const waiting = [value]
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    size += one instanceof Text ? one.length : 1
    if (one instanceof List) for (const part of one.items) waiting.push(part)
    else if (one instanceof Dict) for (const [key, part] of one.entries) waiting.push(key, part)
  }
  return size
}

/** One rendering's. */
export class Budget {
  readonly #longest: number
  #steps: number

  /** @param given characters of the messages and tools that are rendered */
  constructor (given: number) {
    this.#steps = baseSteps + stepsPerCharacter * given
    this.#longest = baseLength + lengthPerCharacter * given
  }

  /** Takes a step. @throws TemplateError when there are none left */
  step (count = 1): void {
    this.#steps -= count
    if (this.#steps < 0) throw new TemplateLimitError('it takes too many steps: the template loops')
  }

  /** Takes steps by a value's size. */
  spend (value: Value): void {
    if (value instanceof Text) this.step(1 + (value.length + 8 * value.ranges.length) / perStep)
    else if (value instanceof List) this.step(1 + value.items.length / 8)
    else this.step(value instanceof Dict ? 1 + value.size / 8 : 1)
  }

  /** Refuses a length before it is made. */
  room (length: number): void {
    if (length > this.#longest) {
      throw new TemplateLimitError(`it makes a text or a list of ${length}: at most ${this.#longest} is allowed`)
    }
  }

  /** Takes steps for all that is in a value, however often, before it is gone through. */
  whole (value: Value): void {
    const waiting = [value]
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
      this.spend(one)
      const parts = one instanceof List ? one.items : one instanceof Dict ? one.entries.flat() : []
      this.room(waiting.length + parts.length)
      for (const part of parts) waiting.push(part)
    }
  }

  /** A value that was made, counted. */
  made<T extends Value> (value: T): T {
    this.spend(value)
    this.room(value instanceof Text ? value.length : value instanceof List ? value.items.length : 0)
    return value
  }
}

/** What something recursive makes. @throws TemplateError where it is nested too deeply for this thread's stack */
export function nested<T> (make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (error instanceof RangeError) throw new TemplateError('it is nested too deeply', { cause: error })
    throw error
  }
}
