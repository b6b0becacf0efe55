/** A run as one HTML file: the viewer with the journal in it. It opens from a disk and calls nobody. */
import type { Entry } from './entries.js'
import { lineOf } from './wire.js'

/** Where the viewer's file has its journal. */
export const journalMark = '<script id="journal" type="application/json"></script>'

/** JSON that may stand in a script element, whatever is in it. */
const escaped = (text: string): string =>
  text.replaceAll('<', '\\u003c').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')

/** @param viewer the viewer's file, with `journalMark` in it @throws Error where it has none */
export function exportedPage (viewer: string, entries: readonly Entry[]): string {
  const [before, after] = viewer.split(journalMark)
  if (before === undefined || after === undefined) throw new Error('the viewer has no place for a journal')
  const list = entries.map(entry => lineOf(entry).trimEnd()).join(',\n')
  return `${before}<script id="journal" type="application/json">[${escaped(list)}]</script>${after}`
}
