/** Reads a journal that was kept: a JSON object a line, as `lineOf` writes it. Knows no Node and no DOM. */
import { journalVersion, type Entry, type Head } from './entries.js'
import { Folding, type Run } from './fold.js'

/** What is wrong with a journal, and in which line. */
export class JournalError extends Error {
  /** From 1. */
  readonly line: number

  constructor (line: number, message: string) {
    super(message)
    this.name = 'JournalError'
    this.line = line
  }
}

export interface ReadJournal {
  readonly entries: readonly [Head, ...Entry[]]
  /** What they come to. */
  readonly run: Run
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parsed (text: string, line: number): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new JournalError(line, `this is no Fairlead journal: line ${line} is not JSON`)
  }
  if (!isRecord(value)) throw new JournalError(line, `this is no Fairlead journal: line ${line} is not an object`)
  return value
}

function checkHead (head: Record<string, unknown>, line: number): void {
  const { journal: version } = head
  if (typeof version !== 'number') {
    throw new JournalError(line,
      `this is no Fairlead journal: line ${line} must hold "journal", the version of the format`)
  }
  if (version > journalVersion) {
    throw new JournalError(line,
      `made by a newer Fairlead: journal ${version}, this one reads ${journalVersion}`)
  }
  const broken = (['id', 'server', 'model', 'fingerprint'] satisfies Array<keyof Head>)
    .find(name => typeof head[name] !== 'string')
  if (broken) throw new JournalError(line, `this is no Fairlead journal: line ${line}: ${broken} must be a string`)
  if (!isRecord(head['request'])) {
    throw new JournalError(line, `this is no Fairlead journal: line ${line}: request must be an object`)
  }
}

/**
 * Reads a journal's text. Entries of unknown kinds are kept and say nothing.
 * @throws JournalError that names the first line that is no entry
 */
export function readJournal (text: string): ReadJournal {
  const entries: Entry[] = []
  const folding = new Folding()
  // As other files of users do, one may begin with a byte order mark.
  for (const [index, line] of text.replace(/^\uFEFF/, '').split('\n').entries()) {
    if (line.trim() === '') continue
    const entry = parsed(line, index + 1)
    if (entries.length === 0) checkHead(entry, index + 1)
    else if (typeof entry['t'] !== 'number' || !Number.isFinite(entry['t'])) {
      throw new JournalError(index + 1, `this is no Fairlead journal: line ${index + 1}: t must be a number`)
    }
    try {
      folding.add(entry as unknown as Entry)
    } catch {
      throw new JournalError(index + 1, `this is no Fairlead journal: line ${index + 1} is not an entry that it can be`)
    }
    entries.push(entry as unknown as Entry)
  }
  if (entries.length === 0) throw new JournalError(1, 'this is no Fairlead journal: it is empty')
  return { entries: entries as [Head, ...Entry[]], run: folding.run }
}
