/** What a command is, beside its name and what `commands.ts` says of it in a line. */
import Table from 'cli-table3'
import { RequestError } from '../errors.js'
import { readTextFile } from '../text-file.js'
import type { Options, Values } from './options.js'

export interface Command {
  /** What follows the name, e.g. `"PROMPT"`. */
  readonly usage: string
  readonly options: Options
  /** Maximum number of positional arguments. */
  readonly maxPositionals: number
  /** More help, printed after the options. */
  readonly notes?: () => string
  /** Runs the command: results go to stdout, messages to stderr. */
  run (values: Values, positionals: readonly string[]): Promise<void>
}

/** Prints a message for the user to stderr. */
export function say (message: string): void {
  process.stderr.write(`${message}\n`)
}

/** A table without colours. */
export const plainTable = (head: string[] = []): Table.Table => new Table({ head, style: { head: [], border: [] } })

/** A file named on the command line. @throws RequestError naming it, if it cannot be read, and its line if not UTF-8 */
export function readText (file: string): string {
  try {
    return readTextFile(file)
  } catch (cause) {
    if (cause instanceof RequestError) throw cause
    throw new RequestError('invalid_request',
      `cannot read ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
