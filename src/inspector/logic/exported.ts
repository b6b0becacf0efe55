/** A run as one HTML file: the viewer with the journal in it. It opens from a disk and calls nobody. */
import { linesOf } from './journal-file.js'
import type { Entry } from '../../journal/entries.js'

/** Where the viewer's file has its journal. */
export const journalMark = '<script id="journal" type="application/json"></script>'

/** Text that may stand in a script element, whatever is in it. */
export const escaped = (text: string): string =>
  text.replaceAll('<', '\\u003c').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')

/** Half of a pair of surrogates would not survive UTF-8: JSON spells it out. */
const jsonList = (entries: readonly Entry[]): string => `[${linesOf(entries).trimEnd().split('\n').join(',\n')}]`

/** @param viewer the viewer's file, with `journalMark` in it @throws Error where it has none */
export function exportedPage (viewer: string, entries: readonly Entry[]): string {
  const [before, after] = viewer.split(journalMark)
  if (before === undefined || after === undefined) throw new Error('the viewer has no place for a journal')
  return `${before}<script id="journal" type="application/json">${escaped(jsonList(entries))}</script>${after}`
}
