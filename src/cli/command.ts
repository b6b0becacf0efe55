/** What a command is. */
import type { Options, Values } from './options.js'

export interface Command {
  readonly name: string
  /** What follows the name, e.g. `"PROMPT"`. */
  readonly usage: string
  readonly summary: string
  readonly options: Options
  /** More help, printed after the options. */
  readonly notes?: () => string
  /** Does it. What it gives goes to stdout, what it says to stderr. */
  run (values: Values, positionals: readonly string[]): Promise<void>
}

/** Tells the person at the terminal something. */
export function say (message: string): void {
  process.stderr.write(`${message}\n`)
}
