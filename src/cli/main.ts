#!/usr/bin/env node
/** The `fairlead` command: finds the command, prints help, prints user errors in one line. */
import { RequestError } from '../errors.js'
import { packageVersion } from '../package-root.js'
import { nearestName } from '../validation.js'
import { say, type Command } from './command.js'
import { commands } from './commands.js'
import { describeOptions, parseOptions } from './options.js'

function overview (): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(15)}${summary}`)
  return `fairlead ${packageVersion}: inference-time alignment for language models\n\nUsage: fairlead COMMAND ` +
    `[OPTIONS]\n\n${lines.join('\n')}\n\nRun fairlead COMMAND --help for its options. Every setting is also an ` +
      'environment ' +
    'variable: --max-sequences is FAIRLEAD_MAX_SEQUENCES.'
}

function help (name: string, summary: string, { usage, options, notes }: Command): string {
  return `Usage: fairlead ${name} ${usage}\n\n${summary}\n\n${describeOptions(options)}${notes ? `\n\n${notes()}` : ''}`
}

/** @returns the exit code: 0, 1 for a failure, 2 for a usage error */
async function main ([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === 'help') {
    console.log(overview())
    return name === undefined ? 2 : 0
  }
  if (name === '--version') {
    console.log(packageVersion)
    return 0
  }
  const named = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!named) {
    const nearest = nearestName(name, Object.keys(commands))
    say(`fairlead: unknown command: ${name}${nearest === null ? '' : `; did you mean ${nearest}?`}\n\n${overview()}`)
    return 2
  }
  const command = await named.load()
  let parsed
  try {
    parsed = parseOptions(command, args)
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    say(`fairlead ${name}: ${error.message}`)
    return 2
  }
  if (parsed.values['help'] === true) {
    console.log(help(name, named.summary, command))
    return 0
  }
  try {
    await command.run(parsed.values, parsed.positionals)
    return 0
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    say(`fairlead ${name}: ${error.message}`)
    return 1
  }
}

process.exitCode = await main(process.argv.slice(2))
