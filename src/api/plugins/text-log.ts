/** The log as people read it in a terminal, a line each, in place of the JSON that programs read. */
import type { Config } from '../../settings.js'

/** What Fastify's logger writes. */
interface Entry {
  readonly level: number
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly msg?: string
  readonly method?: string
  readonly url?: string
  readonly status?: number
  readonly ms?: number
  readonly tokens?: number
  readonly caller?: string
  readonly err?: { readonly stack?: string, readonly message?: string }
}

const levels: Readonly<Record<number, string>> = { 40: 'WARN ', 50: 'ERROR ', 60: 'FATAL ' }

/** What the command says itself. */
const saidElsewhere = /^Server listening at /

/** Callers choose texts that are logged: none may move the cursor. */
const visible = (text: string): string =>
  text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, one => `\\u${one.codePointAt(0)!.toString(16).padStart(4, '0')}`)

function requestText ({ method, url = '', status, ms, tokens, caller, msg }: Entry): string {
  return [method, url, status, `${ms} ms`, ...(tokens === undefined ? [] : [`${tokens} tokens`]),
    ...(caller === undefined ? [] : [`(${caller})`]),
    ...(msg === 'answered' || msg === undefined ? [] : [msg])].join(' ')
}

/**
 * @param json a line of the log
 * @returns the same for people, with a line feed; empty for what the command says itself
 */
export function textLine (json: string): string {
  const entry = JSON.parse(json) as Entry
  const { level, time, msg = '', err } = entry
  if (saidElsewhere.test(msg)) return ''
  const text = entry.method === undefined || entry.status === undefined ? msg : requestText(entry)
  const stack = (err?.stack ?? err?.message ?? '').split('\n').filter(Boolean).map(line => `\n  ${visible(line)}`)
  const clock = new Date(time).toTimeString().slice(0, 8)
  return `${clock} ${levels[level] ?? ''}${visible(text)}${stack.join('')}\n`
}

/** Where the log goes: text where a person reads it, JSON lines elsewhere, unless the setting says which. */
export function logStream (
  { logFormat }: Pick<Config, 'logFormat'>, out: NodeJS.WriteStream = process.stdout
): { write (line: string): void } {
  const isText = logFormat === 'auto' ? out.isTTY : logFormat === 'text'
  return isText ? { write: line => { out.write(textLine(line)) } } : out
}
