/**
 * What of an answer is compared. Tokens, texts, numbers, the order of events and where a stream is cut into chunks are
 * kept as they came: with one request at a time none of them depends on timing. These vary by their nature and are
 * replaced, each no further than it must be:
 * - ids that are drawn at random, by the number of their first place in the answer, so that it still shows which are
 *   equal;
 * - moments (`created`, `created_at`, `completed_at`); durations are in headers and figures only, which are not read;
 * - `system_fingerprint`, compared once for all (`about` of the record), but for what is behind it (`-drafts`);
 * - the wording of errors and warnings: their status, type, code and param stay.
 * Long lists of numbers (embeddings) are recorded as a digest of their exact values, for brevity; that takes nothing
 * from the comparison.
 */
import { createHash } from 'node:crypto'
import type { Answer, Call, Json } from './calls.js'

const randomId = /^([a-z]+)[_-][0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/
/** A chat's calls are named after the chat: 20 digits of its id, then choice and call. */
const callId = /^(call)_[0-9a-f]{20}(\d+_\d+)$/
const moments: ReadonlySet<string> = new Set(['created', 'created_at', 'completed_at'])
/** More numbers than this in a list are recorded as their digest. */
const longestList = 64

export function digest (value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)
}

function isObject (value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

class Normaliser {
  readonly #ids = new Map<string, string>()

  #id (text: string, prefix: string): string {
    const known = this.#ids.get(text)
    if (known !== undefined) return known
    const name = `<${prefix} ${this.#ids.size + 1}>`
    this.#ids.set(text, name)
    return name
  }

  #text (text: string): string {
    const [, prefix, place] = randomId.exec(text) ?? callId.exec(text) ?? []
    if (prefix === undefined) return text
    return this.#id(text, place === undefined ? prefix : `${prefix} ${place}`)
  }

  #field (name: string, value: unknown): unknown {
    if (moments.has(name) && typeof value === 'number') return '<time>'
    if (name === 'system_fingerprint') return String(value).replace(/^fl_[0-9a-f]{12}/, '<fingerprint>')
    if (name === 'error' && isObject(value)) return { ...this.value(value) as Json, message: '<wording>' }
    if (name === 'warnings' && Array.isArray(value)) {
      return value.map(warning => ({ ...this.value(warning) as Json, message: '<wording>' }))
    }
    return this.value(value)
  }

  #list (list: readonly unknown[]): unknown {
    const isLong = list.length > longestList && list.every(one => typeof one === 'number')
    if (!isLong) return list.map(one => this.value(one))
    return { numbers: list.length, first: list.slice(0, 4), sha256: digest(list) }
  }

  value (value: unknown): unknown {
    if (typeof value === 'string') return this.#text(value)
    if (Array.isArray(value)) return this.#list(value)
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.#field(name, inner)]))
  }
}

/**
 * Of chunks that follow each other: a field that is as it was in the chunk before is left out, so that the record
 * stays short.
 */
function withoutRepeats (events: readonly unknown[]): unknown[] {
  return events.map((event, index) => {
    const before = events[index - 1]
    if (!isObject(event) || !isObject(before)) return event
    const missing = Object.keys(before).filter(name => !Object.hasOwn(event, name))
    const isNew = ([name, value]: [string, unknown]): boolean => JSON.stringify(value) !== JSON.stringify(before[name])
    const changed = Object.entries(event).filter(isNew)
    return { ...Object.fromEntries(changed), ...(missing.length === 0 ? {} : { '-': missing.join() }) }
  })
}

/** An answer as it is recorded and compared. */
export function normalised ({ status, type, headers, body }: Answer, { keep }: Call): Json {
  const kept = new Normaliser().value(keep ? keep(body) : body)
  const recorded = type === 'text/html' ? '<page>' : Array.isArray(kept) ? withoutRepeats(kept) : kept
  return { status, ...(type === 'application/json' ? {} : { type }), ...headers, body: recorded }
}
