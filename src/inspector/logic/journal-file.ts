/** Journals as files: JSON Lines in and out. */
import { journalVersion, type Entry, type Head } from '../../journal/entries.js'

/** Why a text is no journal. */
export class JournalFileError extends Error {}

export const linesOf = (entries: readonly Entry[]): string => entries.map(one => `${JSON.stringify(one)}\n`).join('')

function parsed (line: string, number: number): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new JournalFileError(`This is no Fairlead journal: line ${number}: ${(error as Error).message}.`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new JournalFileError(`This is no Fairlead journal: line ${number}: not an object.`)
  }
  return value as Readonly<Record<string, unknown>>
}

/** @throws JournalFileError naming the line; for a journal of a newer Fairlead */
export function readJournal (text: string): [Head, ...Entry[]] {
  const lines = text.replace(/^\uFEFF/, '').split('\n').map(line => line.trim())
  const values = lines.flatMap((line, index) => line === '' ? [] : [parsed(line, index + 1)])
  const [head] = values
  if (!head) throw new JournalFileError('This is no Fairlead journal: the file is empty.')
  if (typeof head['journal'] !== 'number') {
    throw new JournalFileError('This is no Fairlead journal: line 1: it does not say "journal".')
  }
  if (head['journal'] > journalVersion) {
    throw new JournalFileError(
      `Made by a newer Fairlead (journal ${head['journal']}; this page reads ${journalVersion}).`)
  }
  const bad = values.findIndex((value, index) => index > 0 && typeof value['t'] !== 'number')
  if (bad > 0) throw new JournalFileError(`This is no Fairlead journal: entry ${bad + 1} has no time.`)
  return values as unknown as [Head, ...Entry[]]
}
