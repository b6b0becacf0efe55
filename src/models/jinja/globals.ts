/** What templates have without being given it: functions, and the fields of `loop`. */
import { strftime } from './clock.js'
import { Text } from './text.js'
import {
  Callable, Dict, fail, List, Namespace, textOf, typeName, Undefined, type CallArguments, type Value
} from './values.js'

/** Items of a range, as in jinja2's sandbox. */
const longestRange = 100_000

function namespace ({ positional: [from], named }: CallArguments): Namespace {
  const made = new Namespace()
  if (from instanceof Dict) for (const [key, value] of from.entries) made.fields.set(textOf(key).value, value)
  else if (from !== undefined) fail('namespace takes a mapping')
  for (const [name, value] of named) made.fields.set(name, value)
  return made
}

function range ({ positional }: CallArguments): List {
  const numbers = positional.map(value =>
    typeof value === 'number' ? value : fail(`range takes whole numbers; got ${typeName(value)}`))
  const [from, to, by] = numbers.length < 2 ? [0, numbers[0] ?? fail('range takes a number'), 1] : [...numbers, 1]
  if (by === 0) fail('the step of a range must not be 0')
  const length = Math.max(0, Math.ceil((to! - from!) / by!))
  if (length > longestRange) fail(`a range of ${length} is longer than ${longestRange}`)
  return new List(Array.from({ length }, (_, index) => from! + index * by!))
}

/** Names that every template has. */
export const globals: Readonly<Record<string, Value>> = {
  namespace: new Callable(namespace),
  range: new Callable(range),
  dict: new Callable(({ positional: [from], named }) => new Dict([
    ...(from instanceof Dict ? from.entries : []),
    ...[...named].map(([name, value]) => [new Text(name), value] as const)])),
  raise_exception: new Callable(({ positional: [why = null] }) => fail(textOf(why).value)),
  strftime_now: new Callable(({ positional: [format = null] }) =>
    new Text(strftime(new Date(), textOf(format).value)))
}

/** A field of `loop`. @param sees whether values differ from those of the last call */
export function loopField (
  name: string, items: readonly Value[], index: number, sees: (values: List) => boolean
): Value | undefined {
  const last = items.length - 1
  switch (name) {
    case 'index': return index + 1
    case 'index0': return index
    case 'revindex': return items.length - index
    case 'revindex0': return last - index
    case 'first': return index === 0
    case 'last': return index === last
    case 'length': return items.length
    case 'depth': return 1
    case 'depth0': return 0
    case 'previtem': return index > 0 ? items[index - 1] : new Undefined('the item before the first')
    case 'nextitem': return index < last ? items[index + 1] : new Undefined('the item behind the last')
    case 'cycle': return new Callable(({ positional }) =>
      positional.length > 0 ? positional[index % positional.length]! : fail('cycle takes values'))
    case 'changed': return new Callable(({ positional }) => sees(new List(positional, 'tuple')))
    default: return undefined
  }
}
