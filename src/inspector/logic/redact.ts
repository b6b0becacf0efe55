/** Takes out of a journal what is not to be shared. Lengths, times and rewards stay. */
import type { Entry, Grown, Head } from '../../journal/entries.js'

/** What is left out. */
export interface Redaction { readonly system: boolean, readonly prompt: boolean, readonly others: boolean }

const withheld = '[left out]'

interface Message { readonly role: string, readonly content: unknown }

/** Messages of a request, wherever its endpoint has them. */
export const messagesOf = ({ messages, input }: Head['request']): readonly Message[] =>
  [messages, input].flatMap(list => Array.isArray(list) ? list as readonly Message[] : [])

/** Fields of requests that say who asks: they are never shared. */
const personal = ['user', 'safety_identifier', 'prompt_cache_key', 'metadata']

/** Fields whose texts are a prompt's, where they are no messages. */
const texts = ['prompt', 'input', 'suffix', 'prediction']

/** A request's fields as they are shared, and what was taken out of them. */
function redactRequest (
  request: Head['request'], { system, prompt }: Redaction
): { readonly kept: Head['request'], readonly out: readonly string[] } {
  const out: string[] = []
  const isOut = (role: unknown): boolean => role === 'system' || role === 'developer' ? system : prompt
  const entry = ([name, value]: readonly [string, unknown]): ReadonlyArray<readonly [string, unknown]> => {
    if (personal.includes(name)) {
      out.push(`request.${name}`)
      return []
    }
    if ((name === 'messages' || name === 'input') && Array.isArray(value)) {
      return [[name, (value as readonly Message[]).map((message, at) => {
        if (!isOut(message.role)) return message
        out.push(`request.${name}[${at}]`)
        return { role: message.role ?? 'user', content: withheld }
      })]]
    }
    if (!(name === 'instructions' ? system : prompt && texts.includes(name))) return [[name, value]]
    out.push(`request.${name}`)
    return [[name, withheld]]
  }
  return { kept: Object.fromEntries(Object.entries(request).flatMap(entry)), out }
}

function redactHead (head: Head, what: Redaction): Head {
  const { kept, out } = redactRequest(head.request, what)
  const redacted =
    [...head.redacted ?? [], ...out, ...(what.others ? ['grow of candidates that were not chosen'] : [])]
  return redacted.length === 0 ? head : { ...head, request: kept, redacted }
}

/** Candidates whose text is the answer's: the chosen, and up to the fork those that they were forked from. */
function chainOf (entries: readonly Entry[]): ReadonlySet<number> {
  const parents = new Map<number, number | null>()
  const chain = new Set<number>()
  for (const entry of entries) {
    if ('open' in entry) for (const [index, parent] of entry.open) parents.set(index, parent)
    if (!('select' in entry)) continue
    for (const chosen of entry.select.chosen) {
      for (let one: number | null | undefined = chosen; typeof one === 'number'; one = parents.get(one)) chain.add(one)
    }
  }
  return chain
}

const blank = ([index, tokens]: Grown): Grown => [index, typeof tokens === 'number' ? tokens : tokens.length, '']

function withoutOthers (entries: readonly Entry[]): Entry[] {
  const chain = chainOf(entries)
  const chosen = new Set(entries.flatMap(entry => 'select' in entry ? entry.select.chosen : []))
  const closed = new Set<number>()
  const isOut = (index: number): boolean => !chain.has(index) || closed.has(index)
  return entries.flatMap((entry): Entry[] => {
    if ('open' in entry) {
      // What a parent goes on with, after its fork in the chain, is another answer's.
      for (const [index, parent] of entry.open) {
        if (parent !== null && chain.has(index) && !chosen.has(parent)) closed.add(parent)
      }
    }
    if ('grow' in entry) return [{ ...entry, grow: entry.grow.map(one => isOut(one[0]) ? blank(one) : one) }]
    if ('token' in entry) return isOut(entry.token[0]) ? [] : [entry]
    return [entry]
  })
}

/** The same run with less in it. */
export function redact (entries: readonly Entry[], what: Redaction): Entry[] {
  const kept = what.others ? withoutOthers(entries) : entries
  return kept.map(entry => 'journal' in entry ? redactHead(entry, what) : entry)
}
