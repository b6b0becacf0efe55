/** jinja2's filters, and transformers' `tojson`. Those that no chat template needs are refused by name. */
import { Bound, there } from './arguments.js'
import type { Budget } from './budget.js'
import { toJson } from './json.js'
import { capitalized, replaceText, splitLines, strip } from './methods.js'
import { codePoints, concat, joinTexts, Text } from './text.js'
import {
  characters, compare, Dict, fail, Float, isNumber, isTrue, itemsOf, List, numberOf, textOf, typeName, Undefined,
  type CallArguments, type Value
} from './values.js'

/** What filters need of the rendering that they are part of. */
export interface FilterContext {
  readonly budget: Budget
  /** The item of a value, as `value[key]`. */
  item (of: Value, key: Value): Value
  filter (name: string, value: Value, args: CallArguments): Value
  test (name: string, value: Value, args: CallArguments): boolean
}

type Filter = readonly [
  parameters: readonly string[], run: (value: Value, args: Bound, context: FilterContext) => Value
]

/** The field of an item by a path with dots. */
function fieldOf (item: Value, path: Value, context: FilterContext): Value {
  const parts = path instanceof Text ? path.value.split('.') : [path]
  return parts.reduce<Value>((value, part) =>
    context.item(value, typeof part === 'string' ? /^\d+$/.test(part) ? Number(part) : new Text(part) : part), item)
}

/** How items are compared: by a field, letters of either case alike unless told otherwise. */
function keyOf (args: Bound, context: FilterContext): (item: Value) => Value {
  const path = args.value('attribute') ?? null
  const isExact = isTrue(args.value('case_sensitive') ?? false)
  return item => {
    const value = path === null ? item : fieldOf(item, path, context)
    return value instanceof Text && !isExact ? new Text(value.value.toLowerCase()) : value
  }
}

/** Sorted by what a function makes of each; equal ones stay in their order. */
function sorted<T> (items: readonly T[], key: (item: T) => Value, isReversed: boolean, budget: Budget): T[] {
  budget.step(items.length * (1 + Math.log2(1 + items.length)))
  const keyed = items.map(item => [key(item), item] as const)
  return keyed.sort(([a], [b]) => isReversed ? compare(b, a) : compare(a, b)).map(([, item]) => item)
}

function lengthOf (value: Value): number {
  if (value instanceof Text) return codePoints(value).count
  if (value instanceof Dict) return value.size
  if (value instanceof Undefined) return 0
  return value instanceof List && value.kind !== 'iterator' ? value.items.length : fail(`${typeName(value)} has no length`)
}

/** The least or the greatest. */
const extreme = (sign: 1 | -1): Filter => [['case_sensitive', 'attribute'], (value, args, context) => {
  const [items, key] = [itemsOf(value), keyOf(args, context)]
  if (items.length === 0) return new Undefined('an item of an empty list')
  return items.reduce((best, item) => sign * compare(key(item), key(best)) < 0 ? item : best)
}]

/** Rounded as Python rounds: halves to the even neighbour. */
function roundEven (value: number): number {
  const whole = Math.floor(value)
  const rest = value - whole
  return rest < 0.5 || (rest === 0.5 && whole % 2 === 0) ? whole : whole + 1
}

function rounded (value: Value, args: Bound): Value {
  const [digits, method] = [args.integer('precision', 0), args.text('method')?.value ?? 'common']
  const number = isNumber(value) ? numberOf(value) : fail(`${typeName(value)} cannot be rounded`)
  const round = { common: roundEven, ceil: Math.ceil, floor: Math.floor }[method] ?? fail(`no way of rounding ${method}`)
  if (method !== 'common' || digits === 0) return new Float(round(number * 10 ** digits) / 10 ** digits)
  return new Float(Number(number.toFixed(Math.min(digits, 20))))
}

/** A text as a whole number; null where it is none. */
function integerOf (value: Value, base: number): number | null {
  if (value instanceof Text) {
    const text = strip(value, undefined, 'both').value.replaceAll('_', '')
    if (base === 10 && /^[-+]?\d+$/.test(text)) return Number(text)
    if (base !== 10) return /^[-+]?[\da-z]+$/i.test(text) ? numberOrNull(Number.parseInt(text, base)) : null
    return numberOrNull(Math.trunc(floatOf(value) ?? NaN))
  }
  return isNumber(value) ? numberOrNull(Math.trunc(numberOf(value))) : null
}

const numberOrNull = (value: number): number | null => Number.isFinite(value) ? value : null

function floatOf (value: Value): number | null {
  if (isNumber(value)) return numberOf(value)
  if (!(value instanceof Text)) return null
  const text = strip(value, undefined, 'both').value.replaceAll('_', '')
  return /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(text) ? Number(text) : null
}

function indented (text: Text, args: Bound, { budget }: FilterContext): Text {
  const width = args.value('width') ?? 4
  const by = width instanceof Text ? width : new Text(' '.repeat(countOf(width, budget)))
  const [isFirst, isBlank] = [args.value('first') ?? false, args.value('blank') ?? false].map(isTrue)
  const lines = splitLines(concat([text, new Text('\n')]))
  budget.room(text.length + lines.length * by.length)
  return joinTexts(lines.map((line, index) =>
    (index === 0 ? isFirst : isBlank || line.length > 0) ? concat([by, line]) : line), new Text('\n'))
}

/** A count that fits what is left. */
function countOf (value: Value, budget: Budget): number {
  if (typeof value !== 'number') return fail(`${typeName(value)} is no count`)
  budget.room(value)
  return Math.max(0, value)
}

function json (value: Value, args: Bound, { budget }: FilterContext): Text {
  budget.whole(value)
  const given = args.value('indent') ?? null
  const indent = given === null ? null : given instanceof Text ? given.value : ' '.repeat(countOf(given, budget))
  const separators = args.value('separators') ?? null
  const [item, key] = separators === null
    ? [new Text(indent === null ? ', ' : ','), new Text(': ')]
    : itemsOf(separators)
  if (!(item instanceof Text && key instanceof Text)) return fail('tojson: separators must be two texts')
  return toJson(value, {
    indent,
    ensureAscii: isTrue(args.value('ensure_ascii') ?? false),
    sortKeys: isTrue(args.value('sort_keys') ?? false),
    itemSeparator: item,
    keySeparator: key
  })
}

/** Items by a test of themselves, or of a field, or by their being true. */
function picked (value: Value, args: CallArguments, wanted: boolean, byField: boolean, context: FilterContext): List {
  const [path, ...rest] = byField ? args.positional : [null, ...args.positional]
  if (path === undefined) return fail('a filter needs the name of a field')
  const [test, ...given] = rest
  if (test !== undefined && !(test instanceof Text)) return fail('the name of a test must be a text')
  const items = itemsOf(value).filter(item => {
    const tested = byField ? fieldOf(item, path, context) : item
    const holds = test
      ? context.test(test.value, tested, { positional: given, named: args.named })
      : isTrue(tested)
    return holds === wanted
  })
  return new List(items, 'iterator')
}

function mapped (value: Value, args: CallArguments, context: FilterContext): List {
  const path = args.named.get('attribute')
  if (path !== undefined) {
    const fallback = args.named.get('default') ?? null
    return new List(itemsOf(value).map(item => {
      const field = fieldOf(item, path, context)
      return field instanceof Undefined && fallback !== null ? fallback : field
    }), 'iterator')
  }
  const [name, ...positional] = args.positional
  if (!(name instanceof Text)) return fail('map needs the name of a filter, or attribute')
  return new List(itemsOf(value)
    .map(item => context.filter(name.value, item, { positional, named: args.named })), 'iterator')
}

/** Filters that read their arguments themselves. */
const free: Readonly<Record<string, (value: Value, args: CallArguments, context: FilterContext) => Value>> = {
  map: mapped,
  select: (value, args, context) => picked(value, args, true, false, context),
  reject: (value, args, context) => picked(value, args, false, false, context),
  selectattr: (value, args, context) => picked(value, args, true, true, context),
  rejectattr: (value, args, context) => picked(value, args, false, true, context)
}

const fallback: Filter = [['default_value', 'boolean'], (value, args) =>
  value instanceof Undefined || (isTrue(args.value('boolean') ?? false) && !isTrue(value))
    ? args.has('default_value') ? args.value('default_value')! : new Text('')
    : value]
/** The first or the last. */
function ended (items: readonly Value[], place: 0 | -1): Value {
  return items.length === 0 ? new Undefined('an item of an empty list') : items.at(place)!
}

const length: Filter = [[], value => lengthOf(value)]
const textFilter = (change: (text: Text) => Text): Filter => [[], value => change(textOf(value))]

const filters: Readonly<Record<string, Filter>> = {
  abs: [[], value => value instanceof Float
    ? new Float(Math.abs(value.value))
    : isNumber(value) ? Math.abs(numberOf(value)) : fail(`${typeName(value)} has no absolute value`)],
  capitalize: textFilter(capitalized),
  count: length,
  d: fallback,
  default: fallback,
  dictsort: [['case_sensitive', 'by', 'reverse'], (value, args, { budget }) => {
    if (!(value instanceof Dict)) return fail(`${typeName(value)} is no mapping`)
    const [by, isExact] = [args.text('by')?.value ?? 'key', isTrue(args.value('case_sensitive') ?? false)]
    if (by !== 'key' && by !== 'value') return fail('dictsort: by must be key or value')
    const key = (entry: readonly [Value, Value]): Value => {
      const one = entry[by === 'key' ? 0 : 1]
      return one instanceof Text && !isExact ? new Text(one.value.toLowerCase()) : one
    }
    return new List(sorted(value.entries, key, isTrue(args.value('reverse') ?? false), budget)
      .map(entry => new List(entry, 'tuple')))
  }],
  first: [[], value => ended(itemsOf(value), 0)],
  float: [['default'], (value, args) => {
    const number = floatOf(value)
    return number === null ? args.has('default') ? args.value('default')! : new Float(0) : new Float(number)
  }],
  indent: [['width', 'first', 'blank'], (value, args, context) => indented(textOf(there(value)), args, context)],
  int: [['default', 'base'], (value, args) => {
    const number = integerOf(there(value), args.integer('base', 10))
    return number === null ? args.has('default') ? args.value('default')! : 0 : number
  }],
  items: [[], value => value instanceof Undefined
    ? new List([], 'iterator')
    : value instanceof Dict
      ? new List(value.entries.map(entry => new List(entry, 'tuple')), 'iterator')
      : fail(`${typeName(value)} is no mapping`)],
  join: [['d', 'attribute'], (value, args, context) => {
    const path = args.value('attribute') ?? null
    return joinTexts(itemsOf(value).map(item => textOf(path === null ? item : fieldOf(item, path, context))),
      textOf(args.value('d') ?? new Text('')))
  }],
  last: [[], value => value instanceof List && value.kind === 'iterator'
    ? fail('an iterator has no last item')
    : ended(itemsOf(value), -1)],
  length,
  list: [[], value => new List(itemsOf(value))],
  lower: textFilter(text => text.with(text.value.toLowerCase())),
  max: extreme(-1),
  min: extreme(1),
  replace: [['old', 'new', 'count'], (value, args) => {
    const count = args.value('count') ?? null
    return replaceText(textOf(value), textOf(args.needed('old')).value, textOf(args.needed('new')),
      typeof count === 'number' && count >= 0 ? count : Infinity)
  }],
  reverse: [[], value => value instanceof Text
    ? concat(characters(value).reverse())
    : new List([...itemsOf(value)].reverse(), 'iterator')],
  round: [['precision', 'method'], rounded],
  safe: [[], value => textOf(value)],
  sort: [['reverse', 'case_sensitive', 'attribute'], (value, args, context) =>
    new List(sorted(itemsOf(value), keyOf(args, context), isTrue(args.value('reverse') ?? false), context.budget))],
  string: textFilter(text => text),
  sum: [['attribute', 'start'], (value, args, context) => {
    const path = args.value('attribute') ?? null
    const all = [args.value('start') ?? 0, ...itemsOf(value).map(item =>
      path === null ? item : fieldOf(item, path, context))]
    const numbers = all.map(item => isNumber(item) ? numberOf(item) : fail(`${typeName(item)} cannot be added`))
    const total = numbers.reduce((sum, number) => sum + number, 0)
    return all.some(item => item instanceof Float) ? new Float(total) : total
  }],
  title: textFilter(text => text.with(text.value.split(/([-\s({[<]+)/)
    .map(part => part.slice(0, 1).toUpperCase() + part.slice(1).toLowerCase()).join(''))),
  tojson: [['ensure_ascii', 'indent', 'separators', 'sort_keys'], json],
  trim: [['chars'], (value, args) => strip(textOf(value), args.text('chars'), 'both')],
  unique: [['case_sensitive', 'attribute'], (value, args, context) => {
    const key = keyOf(args, context)
    const seen = new Dict(itemsOf(value).map(item => [key(item), item] as const).reverse())
    return new List(itemsOf(value).filter(item => seen.get(key(item)) === item), 'iterator')
  }],
  upper: textFilter(text => text.with(text.value.toUpperCase())),
  wordcount: [[], value => textOf(value).value.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0]
}

/** Filters whose result is a text of all that is in a value. */
const writing: ReadonlySet<string> = new Set(['string', 'safe', 'join', 'replace', 'trim', 'indent', 'upper', 'lower',
  'capitalize', 'title'])

/** Filters that look at one item, or none. */
const looking: ReadonlySet<string> = new Set(['length', 'count', 'first', 'last', 'default', 'd'])

/** Applies a filter. @throws TemplateError for one that is not known */
export function applyFilter (name: string, value: Value, args: CallArguments, context: FilterContext): Value {
  if (!looking.has(name)) context.budget.spend(value)
  if (Object.hasOwn(free, name)) return context.budget.made(free[name]!(value, args, context))
  if (!Object.hasOwn(filters, name)) return fail(`the filter ${name} is not supported`)
  if (writing.has(name)) context.budget.whole(value)
  const [parameters, run] = filters[name]!
  const made = run(value, new Bound(`the filter ${name}`, args, parameters), context)
  return looking.has(name) ? made : context.budget.made(made)
}
