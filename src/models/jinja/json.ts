/** Values as JSON, as Python's json.dumps writes them: transformers' `tojson`, which escapes no HTML. */
import { concat, joinTexts, Text } from './text.js'
import { Dict, fail, Float, floatText, isSequence, List, typeName, type Value } from './values.js'

export interface JsonOptions {
  /** What a level is indented by; null for one line. */
  readonly indent: string | null
  readonly ensureAscii: boolean
  readonly sortKeys: boolean
  readonly itemSeparator: Text
  readonly keySeparator: Text
}

const short: Readonly<Record<string, string>> =
  { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\f': '\\f', '\b': '\\b' }

const control = '\\0-\\x1f'
/** Matches what is escaped: control characters, or all but ASCII's printable ones. */
const [plainEscapes, asciiEscapes] = [new RegExp(`[${control}"\\\\]`, 'g'), /[^ !#-[\]-~]/g]

function quoted (text: Text, isAscii: boolean): Text {
  const inner = text.value.replaceAll(isAscii ? asciiEscapes : plainEscapes, unit =>
    short[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return concat([new Text('"'), inner === text.value ? text : text.with(inner), new Text('"')])
}

function number (value: number): string {
  const text = floatText(value)
  return { nan: 'NaN', inf: 'Infinity', '-inf': '-Infinity' }[text] ?? text
}

function keyText (key: Value): Text {
  if (key instanceof Text) return key
  if (key === null) return new Text('null')
  if (typeof key === 'boolean' || typeof key === 'number') return new Text(String(key))
  return key instanceof Float ? new Text(number(key.value)) : fail(`${typeName(key)} cannot be a name in JSON`)
}

/** Parts in brackets, each on a line of its own where there is an indent. */
function bracketed (open: string, parts: readonly Text[], close: string, options: JsonOptions, depth: number): Text {
  if (parts.length === 0) return new Text(open + close)
  const line = (level: number): Text => new Text(options.indent === null ? '' : `\n${options.indent.repeat(level)}`)
  return concat([new Text(open), line(depth + 1), joinTexts(parts, concat([options.itemSeparator, line(depth + 1)])),
    line(depth), new Text(close)])
}

/** @throws TemplateError for what JSON has not */
export function toJson (value: Value, options: JsonOptions, depth = 0): Text {
  if (value === null) return new Text('null')
  if (typeof value === 'boolean' || typeof value === 'number') return new Text(String(value))
  if (value instanceof Float) return new Text(number(value.value))
  if (value instanceof Text) return quoted(value, options.ensureAscii)
  if (value instanceof List && isSequence(value)) {
    return bracketed('[', value.items.map(item => toJson(item, options, depth + 1)), ']', options, depth)
  }
  if (!(value instanceof Dict)) return fail(`${typeName(value)} cannot be written as JSON`)
  const entries = value.entries.map(([key, item]) => [keyText(key), item] as const)
  if (options.sortKeys) entries.sort(([a], [b]) => a.value < b.value ? -1 : a.value > b.value ? 1 : 0)
  return bracketed('{', entries.map(([key, item]) => concat([quoted(key, options.ensureAscii), options.keySeparator,
    toJson(item, options, depth + 1)])), '}', options, depth)
}
