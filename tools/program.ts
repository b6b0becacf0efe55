/**
 * What the programs beside `fairlead` have in common (benches, studies, conformance): options by one table, with help
 * and defaults from it, and one line for what goes wrong. Knows no program.
 */
import { say } from '../src/cli/command.js'
import {
  describeOptions, integerOption, integersOption, parseOptions, type Options, type Values
} from '../src/cli/options.js'
import { RequestError } from '../src/errors.js'
import { environmentOf, type Environment } from '../src/reporting/environment.js'

/** A command line, its options by name. */
export class Arguments {
  readonly values: Values
  readonly positionals: readonly string[]
  /** The program as it was called, and on what it runs. */
  readonly environment: Environment
  readonly #options: Options

  constructor (command: string, options: Options, maxPositionals: number, args: readonly string[]) {
    const { values, positionals } = parseOptions({ options, maxPositionals }, args)
    this.values = values
    this.positionals = positionals
    this.environment = environmentOf(command, args)
    this.#options = options
  }

  flag (name: string): boolean { return this.values[name] === true }

  /** As given, or the default. */
  text (name: string): string { return String(this.values[name] ?? this.#options[name]?.default ?? '') }

  number (name: string): number { return Number(this.text(name)) }

  /** @throws RequestError for anything but an integer of at least `least` */
  integer (name: string, least = 1): number {
    return integerOption({ [name]: this.text(name) }, name, least, least)
  }

  integers (name: string, least = 1): number[] { return integersOption({ [name]: this.text(name) }, name, '', least) }
}

export interface Program {
  /** As it is called, such as `npm run soak --`. */
  readonly command: string
  readonly usage?: string
  readonly summary: string
  readonly options: Options
  readonly maxPositionals?: number
  readonly run: (args: Arguments) => Promise<unknown>
}

export const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** Runs it. The exit code is 2 for a command line that cannot be followed, 1 for what fails. */
export async function runProgram (
  { command, usage = '[OPTIONS]', summary, options, maxPositionals = 0, run }: Program, given = process.argv.slice(2)
): Promise<void> {
  try {
    const args = new Arguments(command, options, maxPositionals, given)
    if (args.flag('help')) console.log(`${command} ${usage}\n\n${summary}\n\n${describeOptions(options)}`)
    else await run(args)
  } catch (error) {
    say(`${command.replace(/^npm run | --$/g, '')}: ${messageOf(error)}`)
    process.exitCode = error instanceof RequestError ? 2 : 1
  }
}

/** A signal that Ctrl-C and SIGTERM abort once; a second one ends the program. */
export function interruption (onInterrupt: () => void = () => {}): AbortSignal {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => { interrupted.abort(); onInterrupt() })
  }
  return interrupted.signal
}
