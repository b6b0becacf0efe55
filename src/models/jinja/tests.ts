/** jinja2's tests: what stands behind `is`. */
import { Bound } from './arguments.js'
import { Text } from './text.js'
import {
  areEqual, Callable, compare, contains, Dict, fail, Float, isNumber, isSequence, List, numberOf, textOf, typeName,
  Undefined, type CallArguments, type Value
} from './values.js'

type Test = readonly [parameters: readonly string[], run: (value: Value, args: Bound) => boolean]

const plain = (run: (value: Value) => boolean): Test => [[], run]
const against = (run: (value: Value, other: Value) => boolean): Test =>
  [['other'], (value, args) => run(value, args.needed('other'))]
const hasRest = (value: Value, by: Value, rest: number): boolean => isNumber(value) && isNumber(by)
  ? ((numberOf(value) % numberOf(by)) + numberOf(by)) % numberOf(by) === rest
  : fail(`${typeName(value)} cannot be divided`)
const hasCase = (change: (text: string) => string): Test => plain(value => {
  const text = textOf(value).value
  return /\p{Cased}/u.test(text) && change(text) === text
})
const lower = hasCase(text => text.toLowerCase())

const equal = against(areEqual)
const unequal = against((value, other) => !areEqual(value, other))
const greater = against((value, other) => compare(value, other) > 0)
const atLeast = against((value, other) => compare(value, other) >= 0)
const less = against((value, other) => compare(value, other) < 0)
const atMost = against((value, other) => compare(value, other) <= 0)

const tests: Readonly<Record<string, Test>> = {
  boolean: plain(value => typeof value === 'boolean'),
  callable: plain(value => value instanceof Callable),
  defined: plain(value => !(value instanceof Undefined)),
  divisibleby: [['num'], (value, args) => hasRest(value, args.needed('num'), 0)],
  eq: equal,
  equalto: equal,
  '==': equal,
  even: plain(value => hasRest(value, 2, 0)),
  false: plain(value => value === false),
  float: plain(value => value instanceof Float),
  ge: atLeast,
  '>=': atLeast,
  greaterthan: greater,
  gt: greater,
  '>': greater,
  in: [['seq'], (value, args) => contains(args.needed('seq'), value)],
  integer: plain(value => typeof value === 'number'),
  iterable: plain(value => value instanceof Text || value instanceof List || value instanceof Dict ||
    value instanceof Undefined),
  le: atMost,
  '<=': atMost,
  lessthan: less,
  lower,
  lt: less,
  '<': less,
  mapping: plain(value => value instanceof Dict),
  ne: unequal,
  '!=': unequal,
  none: plain(value => value === null),
  number: plain(isNumber),
  odd: plain(value => hasRest(value, 2, 1)),
  sameas: against((value, other) => value === other),
  sequence: plain(value => value instanceof Text || value instanceof Dict || value instanceof Undefined ||
    (value instanceof List && isSequence(value))),
  string: plain(value => value instanceof Text),
  true: plain(value => value === true),
  undefined: plain(value => value instanceof Undefined),
  upper: hasCase(text => text.toUpperCase())
}

/** @throws TemplateError for a test that is not known */
export function applyTest (name: string, value: Value, args: CallArguments): boolean {
  if (!Object.hasOwn(tests, name)) return fail(`the test ${name} is not supported`)
  const [parameters, run] = tests[name]!
  return run(value, new Bound(`the test ${name}`, args, parameters))
}
