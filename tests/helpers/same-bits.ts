/** Compares many numbers bit by bit, with a failure that can be read: that of `deepEqual` shows every number. */
import { AssertionError } from 'node:assert/strict'
import { inspect } from 'node:util'

/** A number, or arrays of them, plain or typed, however deep. */
export type Numbers = number | ArrayLike<number> | readonly Numbers[]

type Elements = ArrayLike<unknown>

interface Found {
  /** Where they differ first, and how. */
  first: string | null
  differing: number
  all: number
}

/**
 * Asserts that numbers are the same, as `deepEqual` of assert/strict has it: NaN is NaN, −0 is not 0, lengths and
 * types of arrays count. Unlike there, what is no number is never the same: a trace that is not there is no other's.
 * @throws AssertionError that says the first place that differs and how many do, and holds none of the arrays
 */
export function sameBits (actual: Numbers | undefined, expected: Numbers | undefined, message?: string): void {
  const found: Found = { first: null, differing: 0, all: 0 }
  compare(actual, expected, [], found)
  if (found.first === null) return
  const said = `${found.first}\n${found.differing} of ${found.all} numbers differ`
  throw new AssertionError({ message: message === undefined ? said : `${message}: ${said}`, stackStartFn: sameBits })
}

const isArray = (value: unknown): value is Elements => Array.isArray(value) || ArrayBuffer.isView(value)

const kindOf = (value: unknown): string => isArray(value) ? value.constructor.name : ''

function show (value: unknown): string {
  return isArray(value) ? `${kindOf(value)} of ${value.length}` : inspect(value).slice(0, 40)
}

/** How many numbers there are, or what stands in the place of one. */
function count (value: unknown): number {
  return isArray(value) ? Array.from(value, count).reduce((sum, one) => sum + one, 0) : 1
}

function compare (actual: unknown, expected: unknown, path: number[], found: Found): void {
  if (isArray(actual) && isArray(expected) && kindOf(actual) === kindOf(expected)) {
    compareElements(actual, expected, path, found)
    return
  }
  const numbers = Math.max(count(actual), count(expected))
  found.all += numbers
  if (typeof actual === 'number' && Object.is(actual, expected)) return
  found.differing += numbers
  found.first ??= `${place(path)} is ${show(actual)}, expected ${show(expected)}${away(actual, expected)}`
}

function compareElements (actual: Elements, expected: Elements, path: number[], found: Found): void {
  const [length, right] = [actual.length, expected.length]
  if (length !== right) found.first ??= `${place(path)} has a length of ${length}, expected ${right}`
  for (let index = 0; index < Math.max(length, right); index++) {
    path.push(index)
    compare(actual[index], expected[index], path, found)
    path.pop()
  }
}

const place = (path: readonly number[]): string => path.length === 0 ? 'it' : path.map(index => `[${index}]`).join('')

/** By how much a number is off; empty where there is no distance. */
function away (actual: unknown, expected: unknown): string {
  const difference = typeof actual === 'number' && typeof expected === 'number' ? actual - expected : NaN
  if (!(Math.abs(difference) > 0)) return ''
  return `, ${Math.abs(difference).toExponential(2)} ${difference < 0 ? 'less' : 'more'}`
}
