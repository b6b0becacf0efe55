/** What every report is made of: a head, tables, plots; and the files that it is written into. Knows no report. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describeEnvironment, type Environment } from './environment.js'
import { writePlot, type Plot } from './plot.js'

/** A Markdown table; figures are right-aligned but for the first column. */
export function markdownTable (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
  return [line(head), line(head.map((_, index) => index === 0 ? '---' : '--:')), ...rows.map(line)].join('\n')
}

/** A column: its name, and what it says of an item. */
export type Column<T> = readonly [name: string, cell: (item: T, index: number) => string]

/** A Markdown table with a row for each item. */
export const tableOf = <T>(items: readonly T[], columns: ReadonlyArray<Column<T>>): string =>
  markdownTable(columns.map(([name]) => name), items.map((item, index) => columns.map(([, cell]) => cell(item, index))))

/**
 * Title and environment of a report.
 * @param partial the note on one that was interrupted; null for a complete one
 */
export const headOf = (title: string, environment: Environment, partial: string | null): string =>
  `# ${title}\n\n${partial === null ? '' : `**Partial**: interrupted${partial}.\n\n`}` +
    `${describeEnvironment(environment)}`

/** The note on an evaluation that was interrupted. @param prompts that are in it */
export const partialPrompts = (finished: boolean, prompts: number): string | null =>
  finished ? null : `; ${prompts} prompts are in it. The same command goes on from there`

/** JSON whose lists and objects are on one line where they fit. */
export function showJson (value: unknown, indent = ''): string {
  const line = JSON.stringify(value) ?? 'null'
  if (typeof value !== 'object' || value === null || indent.length + line.length <= 120) return line
  const inner = `${indent} `
  const parts = Array.isArray(value)
    ? value.map(one => showJson(one, inner))
    : Object.entries(value).flatMap(([key, one]) =>
      one === undefined ? [] : [`${JSON.stringify(key)}: ${showJson(one, inner)}`])
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`
}

/** Writes figures as JSON, folders included. */
export function writeJson (file: string, figures: object): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${showJson(figures)}\n`)
}

/** Writes REPORT.md, report.json and plots/ into a folder. @returns the report's path */
export async function writeReport (
  folder: string, markdown: string, figures: object, plots: Readonly<Record<string, Plot>>
): Promise<string> {
  writeJson(join(folder, 'report.json'), figures)
  for (const [name, plot] of Object.entries(plots)) await writePlot(join(folder, 'plots', `${name}.svg`), plot)
  const file = join(folder, 'REPORT.md')
  writeFileSync(file, markdown)
  return file
}
