/** Methods of texts, mappings and lists, as Python has them. Those that change their object are not to be had. */
import { Bound } from './arguments.js'
import type { Budget } from './budget.js'
import { pythonSpace } from './lexer.js'
import { codePoints, concat, joinTexts, Text } from './text.js'
import { areEqual, Callable, characters, Dict, fail, itemsOf, List, Undefined, type Value } from './values.js'

const space = new RegExp(`[${pythonSpace}]`)
const breaks = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029'
const lineEnd = new RegExp(`\\r\\n|[${breaks}]`, 'g')

/** Without characters at one end or both: whitespace unless told which. */
export function strip (text: Text, which: Text | undefined, ends: 'left' | 'right' | 'both'): Text {
  const set = which && new Set(which.value)
  const goes = (character: string): boolean => set ? set.has(character) : space.test(character)
  const list = Array.from(text.value)
  let [from, to] = [0, text.length]
  let [first, last] = [0, list.length - 1]
  if (ends !== 'right') while (first <= last && goes(list[first]!)) from += list[first++]!.length
  if (ends !== 'left') while (first <= last && goes(list[last]!)) to -= list[last--]!.length
  return text.slice(from, to)
}

/** Parts between texts, at most so many cuts; from the left. */
function splitAt (text: Text, separator: string, most: number): Text[] {
  if (separator === '') fail('a text cannot be split at an empty one')
  const parts: Text[] = []
  let from = 0
  while (parts.length < most) {
    const at = text.value.indexOf(separator, from)
    if (at < 0) break
    parts.push(text.slice(from, at))
    from = at + separator.length
  }
  return [...parts, text.slice(from)]
}

/** As splitAt, from the right. */
function splitAtRight (text: Text, separator: string, most: number): Text[] {
  if (separator === '') fail('a text cannot be split at an empty one')
  const parts: Text[] = []
  let to = text.length
  while (parts.length < most) {
    const at = to < separator.length ? -1 : text.value.lastIndexOf(separator, to - separator.length)
    if (at < 0) break
    parts.unshift(text.slice(at + separator.length, to))
    to = at
  }
  return [text.slice(0, to), ...parts]
}

/** Words between whitespace, at most so many cuts; the rest keeps what is in it. */
function splitWords (text: Text, most: number, fromRight: boolean): Text[] {
  const words = [...text.value.matchAll(new RegExp(`[^${pythonSpace}]+`, 'g'))]
    .map(({ 0: word, index }) => [index, index + word.length] as const)
  if (words.length <= most + 1) return words.map(([from, to]) => text.slice(from, to))
  if (!fromRight) {
    const rest = strip(text.slice(words[most]![0]), undefined, 'left')
    return [...words.slice(0, most).map(([from, to]) => text.slice(from, to)), rest]
  }
  const kept = words.length - most
  return [strip(text.slice(0, words[kept - 1]![1]), undefined, 'left').slice(0),
    ...words.slice(kept).map(([from, to]) => text.slice(from, to))].map(part => strip(part, undefined, 'right'))
}

export function splitLines (text: Text, keepEnds = false): Text[] {
  const lines: Text[] = []
  let from = 0
  for (const { 0: end, index } of text.value.matchAll(lineEnd)) {
    lines.push(text.slice(from, keepEnds ? index + end.length : index))
    from = index + end.length
  }
  return from < text.length ? [...lines, text.slice(from)] : lines
}

/** A text with another in place of a third, at most so many times. */
export function replaceText (text: Text, old: string, by: Text, most: number): Text {
  if (old !== '') return joinTexts(splitAt(text, old, most), by)
  const parts = characters(text)
  const cut = Math.min(most, parts.length + 1)
  return concat([...parts.flatMap((part, index) => index < cut ? [by, part] : [part]),
    ...(cut > parts.length ? [by] : [])])
}

export const capitalized = (text: Text): Text => {
  const [first = '', ...rest] = Array.from(text.value)
  return text.with(first.toUpperCase() + rest.join('').toLowerCase())
}

const most = (count: number): number => count < 0 ? Infinity : count

/** The place of a text in another, counted in code points; below zero where it is not. */
function placeOf (text: Text, at: number): number {
  return at < 0 ? at : codePoints(text.slice(0, at)).count
}

type Method<T> = readonly [parameters: readonly string[], run: (self: T, args: Bound) => Value]

const split = (fromRight: boolean): Method<Text> => [['sep', 'maxsplit'], (self, args) => {
  const [separator, count] = [args.text('sep'), most(args.integer('maxsplit', -1))]
  if (!separator) return new List(splitWords(self, count, fromRight))
  return new List((fromRight ? splitAtRight : splitAt)(self, separator.value, count))
}]
const stripped = (ends: 'left' | 'right' | 'both'): Method<Text> =>
  [['chars'], (self, args) => strip(self, args.text('chars'), ends)]
const changed = (change: (text: string) => string): Method<Text> => [[], self => self.with(change(self.value))]
const isAll = (pattern: RegExp): Method<Text> =>
  [[], self => self.length > 0 && Array.from(self.value).every(one => pattern.test(one))]
const hasCase = (change: (text: string) => string): Method<Text> =>
  [[], self => /\p{Cased}/u.test(self.value) && change(self.value) === self.value]
const atEnd = (test: (text: string, part: string) => boolean): Method<Text> =>
  [['prefix'], (self, args) => args.texts('prefix').some(part => test(self.value, part.value))]
const found = (find: (text: string, part: string) => number): Method<Text> =>
  [['sub'], (self, args) => placeOf(self, find(self.value, args.neededText('sub').value))]
const partition = (fromRight: boolean): Method<Text> => [['sep'], (self, args) => {
  const separator = args.neededText('sep')
  const [first, last] = (fromRight ? splitAtRight : splitAt)(self, separator.value, 1)
  const none = new Text('')
  return new List(last ? [first!, separator, last] : fromRight ? [none, none, self] : [self, none, none], 'tuple')
}]

const textMethods: Readonly<Record<string, Method<Text>>> = {
  capitalize: [[], capitalized],
  casefold: changed(text => text.toLowerCase()),
  count: [['sub'], (self, args) => {
    const part = args.neededText('sub').value
    return part === '' ? codePoints(self).count + 1 : self.value.split(part).length - 1
  }],
  endswith: atEnd((text, part) => text.endsWith(part)),
  find: found((text, part) => text.indexOf(part)),
  index: found((text, part) => text.includes(part) ? text.indexOf(part) : fail('a text is not in another')),
  isalnum: isAll(/[\p{L}\p{N}]/u),
  isalpha: isAll(/\p{L}/u),
  isascii: [[], self => /^[\0-\x7f]*$/.test(self.value)],
  isdecimal: isAll(/\p{Nd}/u),
  isdigit: isAll(/[\p{Nd}¹²³⁰⁴-⁹₀-₉]/u),
  islower: hasCase(text => text.toLowerCase()),
  isnumeric: isAll(/\p{N}/u),
  isspace: isAll(space),
  isupper: hasCase(text => text.toUpperCase()),
  join: [['iterable'], (self, args) => joinTexts(itemsOf(args.needed('iterable'))
    .map(item => item instanceof Text ? item : fail('only texts can be joined')), self)],
  lower: changed(text => text.toLowerCase()),
  lstrip: stripped('left'),
  partition: partition(false),
  removeprefix: [['prefix'], (self, args) => {
    const prefix = args.neededText('prefix').value
    return self.value.startsWith(prefix) ? self.slice(prefix.length) : self
  }],
  removesuffix: [['suffix'], (self, args) => {
    const suffix = args.neededText('suffix').value
    return suffix !== '' && self.value.endsWith(suffix) ? self.slice(0, self.length - suffix.length) : self
  }],
  replace: [['old', 'new', 'count'], (self, args) =>
    replaceText(self, args.neededText('old').value, args.neededText('new'), most(args.integer('count', -1)))],
  rfind: found((text, part) => text.lastIndexOf(part)),
  rpartition: partition(true),
  rsplit: split(true),
  rstrip: stripped('right'),
  split: split(false),
  splitlines: [['keepends'], (self, args) => new List(splitLines(self, args.value('keepends') === true))],
  startswith: atEnd((text, part) => text.startsWith(part)),
  strip: stripped('both'),
  title: changed(text => text.toLowerCase().replaceAll(/(?<!\p{Cased}\p{M}*)\p{Cased}/gu, one => one.toUpperCase())),
  upper: changed(text => text.toUpperCase())
}

const dictMethods: Readonly<Record<string, Method<Dict>>> = {
  copy: [[], self => new Dict(self.entries)],
  get: [['key', 'default'], (self, args) => {
    const key = args.needed('key')
    return self.has(key) ? self.get(key)! : args.value('default') ?? null
  }],
  items: [[], self => new List(self.entries.map(entry => new List(entry, 'tuple')), 'view')],
  keys: [[], self => new List(self.entries.map(([key]) => key), 'view')],
  values: [[], self => new List(self.entries.map(([, value]) => value), 'view')]
}

const listMethods: Readonly<Record<string, Method<List>>> = {
  copy: [[], self => new List(self.items)],
  count: [['value'], (self, args) => self.items.filter(item => areEqual(item, args.needed('value'))).length],
  index: [['value'], (self, args) => {
    const at = self.items.findIndex(item => areEqual(item, args.needed('value')))
    return at < 0 ? fail('a value is not in a list') : at
  }]
}

/** Methods that Python has and templates here do not: what they make is not guessed. */
const missing: Readonly<Record<string, ReadonlySet<string>>> = {
  text: new Set(['center', 'encode', 'expandtabs', 'format', 'format_map', 'isidentifier', 'isprintable', 'istitle',
    'ljust', 'maketrans', 'rindex', 'rjust', 'swapcase', 'translate', 'zfill']),
  dict: new Set(['clear', 'fromkeys', 'pop', 'popitem', 'setdefault', 'update']),
  list: new Set(['append', 'clear', 'extend', 'insert', 'pop', 'remove', 'reverse', 'sort'])
}

function bound<T extends Value> (
  self: T, kind: 'text' | 'dict' | 'list', methods: Readonly<Record<string, Method<T>>>, name: string, budget: Budget
): Value | undefined {
  if (missing[kind]!.has(name)) return new Callable(() => fail(`the method ${name} of a ${kind} is not supported`))
  if (!Object.hasOwn(methods, name)) return undefined
  const [parameters, run] = methods[name]!
  return new Callable(args => {
    budget.spend(self)
    return budget.made(run(self, new Bound(name, args, parameters)))
  })
}

/** A method of a value; undefined where it has none of that name. */
export function methodOf (value: Value, name: string, budget: Budget): Value | undefined {
  if (value instanceof Text) return bound(value, 'text', textMethods, name, budget)
  if (value instanceof Dict) return bound(value, 'dict', dictMethods, name, budget)
  if (value instanceof List) return bound(value, 'list', listMethods, name, budget)
  return value instanceof Undefined ? fail(`${value.what} is undefined; it has no ${name}`) : undefined
}
