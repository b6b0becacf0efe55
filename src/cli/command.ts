/** What a command is. */
import { readFile } from 'node:fs/promises'
import { RequestError } from '../errors.js'
import type { Options, Values } from './options.js'

export interface Command {
  readonly name: string
  /** What follows the name, e.g. `"PROMPT"`. */
  readonly usage: string
  readonly summary: string
  readonly options: Options
  /** How many arguments that are no options it takes, at most. */
  readonly maxPositionals: number
  /** More help, printed after the options. */
  readonly notes?: () => string
  /** Does it. What it gives goes to stdout, what it says to stderr. */
  run (values: Values, positionals: readonly string[]): Promise<void>
}

/** Tells the person at the terminal something. */
export function say (message: string): void {
  process.stderr.write(`${message}\n`)
}

/** A file named on the command line. @throws RequestError naming it, if it cannot be read */
export async function readText (file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new RequestError('invalid_request',
      `${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
