/** Takes out of a journal what is not to be shared. Lengths, times and rewards stay. */
import type { Entry, Grown, Head } from '../../journal/entries.js'

/** What is left out. */
export interface Redaction { readonly system: boolean, readonly prompt: boolean, readonly others: boolean }

const withheld = '[left out]'

interface Message { readonly role: string, readonly content: unknown }

function redactHead (head: Head, { system, prompt, others }: Redaction): Head {
  const messages = Array.isArray(head.request['messages']) ? head.request['messages'] as readonly Message[] : []
  const isOut = ({ role }: Message): boolean => role === 'system' || role === 'developer' ? system : prompt
  const out = messages.flatMap((message, at) => isOut(message) ? [`request.messages[${at}].content`] : [])
  const redacted = [...head.redacted ?? [], ...out, ...(others ? ['grow of candidates that were not chosen'] : [])]
  if (redacted.length === 0) return head
  const kept = messages.map(message => isOut(message) ? { ...message, content: withheld } : message)
  return { ...head, request: { ...head.request, ...(messages.length > 0 ? { messages: kept } : {}) }, redacted }
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
