/** Command lines: one table of options per command, from which parsing, errors and help follow. Knows no command. */
import { parseArgs } from 'node:util'
import { loadConfig } from '../config.js'
import { engineSettingNames, flagName, settingNames, settings, type Config, type SettingName } from '../settings.js'
import { RequestError } from '../errors.js'
import { nearestName, refuse } from '../validation.js'

export interface Option {
  readonly type: 'string' | 'boolean'
  readonly help: string
  /** Shown in help; what the command does without it. */
  readonly default?: string
  readonly multiple?: boolean
}

export type Options = Readonly<Record<string, Option>>
export type Values = Readonly<Record<string, string | boolean | Array<string | boolean> | undefined>>

function settingOption (name: SettingName): Option {
  const setting = settings[name]
  const choices = 'choices' in setting ? ` (${setting.choices.join(', ')})` : ''
  return { type: 'string', help: setting.help + choices, default: String(setting.default) }
}

/** Settings as options of a command. */
export function settingOptions (names: readonly SettingName[]): Options {
  return Object.fromEntries(names.map(name => [flagName(name), settingOption(name)]))
}

/** The settings of a command that loads one model and runs no server. */
export const engineOptions: Options = settingOptions(engineSettingNames.filter(name => name !== 'moreModels'))

/** The settings among parsed values, by setting name. */
export function settingFlags (values: Values): Partial<Record<SettingName, string>> {
  return Object.fromEntries(settingNames.flatMap(name => {
    const value = values[flagName(name)]
    return typeof value === 'string' ? [[name, value]] : []
  }))
}

/**
 * The settings in force for a command that loads one model, whatever more the settings file and the environment have
 * served.
 */
export function engineConfigOf (values: Values): Config {
  return loadConfig({ ...settingFlags(values), moreModels: '' })
}

/**
 * Parses a command's arguments.
 * @throws RequestError for an unknown option (naming the nearest), a missing value, or an unexpected argument
 */
export function parseOptions (
  { options, maxPositionals }: { readonly options: Options, readonly maxPositionals: number }, args: readonly string[]
): { values: Values, positionals: string[] } {
  const known = { ...options, help: { type: 'boolean', help: '' } } satisfies Options
  for (const arg of args) {
    const name = /^--(?:no-)?([^=]+)/.exec(arg)?.[1]
    if (arg === '--') break
    if (name === undefined || name in known) continue
    const nearest = nearestName(name, Object.keys(known))
    throw new RequestError('invalid_request',
      `unknown option --${name}${nearest === null ? '' : `; did you mean --${nearest}?`}`, { param: name })
  }
  let parsed
  try {
    parsed = parseArgs({
      args: [...args],
      options: Object.fromEntries(Object.entries(known).map(([name, { type, multiple = false }]: [string, Option]) =>
        [name, { type, multiple }])),
      allowPositionals: true
    })
  } catch (cause) {
    throw new RequestError('invalid_request', cause instanceof Error ? cause.message : String(cause), { cause })
  }
  const { values, positionals } = parsed
  if (positionals.length > maxPositionals) {
    throw new RequestError('invalid_request',
      `unexpected argument ${JSON.stringify(positionals[maxPositionals])}; options start with --`)
  }
  return { values, positionals }
}

/** A text given as an option; undefined where it is not. */
export function textOption (values: Values, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

/** One of some names given as an option. @throws RequestError naming the option, the names and the value */
export function choiceOption<T extends string, F extends T | null> (
  values: Values, name: string, choices: readonly T[], fallback: F
): T | F {
  const value = values[name] ?? fallback
  if (value === fallback || choices.includes(value as T)) return value as T | F
  throw refuse(`--${name}`, `must be one of ${choices.join(', ')}`, value)
}

/** A number given as an option. @throws RequestError naming the option, the range and the value */
export function numberOption (values: Values, name: string, fallback: number, min: number, max: number): number {
  const text = values[name]
  if (text === undefined) return fallback
  if (text === '' || !(Number(text) >= min && Number(text) <= max)) {
    throw refuse(`--${name}`, `must be a number from ${min} to ${max}`, text)
  }
  return Number(text)
}

/** A whole number given as an option. @throws RequestError naming the option, the rule and the value */
export function integerOption (values: Values, name: string, fallback: number, min = 1): number {
  const text = values[name]
  if (text === undefined) return fallback
  const value = Number(text)
  if (!Number.isInteger(value) || value < min) {
    throw new RequestError('invalid_request',
      `--${name} must be an integer of at least ${min}; got ${JSON.stringify(text)}`, { param: name })
  }
  return value
}

/** Comma-separated whole numbers given as an option. @throws RequestError naming the option, the rule and the value */
export function integersOption (values: Values, name: string, fallback: string, min = 1): number[] {
  const given = String(values[name] ?? fallback).split(',').map(Number)
  if (given.some(one => !Number.isInteger(one) || one < min)) {
    throw new RequestError('invalid_request',
      `--${name} must be a comma-separated list of integers of at least ${min}; got ${JSON.stringify(values[name])}`,
      { param: name })
  }
  return given
}

/**
 * Comma-separated names given as an option: all of them without it, or where it is `all`.
 * @throws RequestError naming the option, those there are and the value
 */
export function namesOption<Name extends string> (values: Values, name: string, all: readonly Name[]): Name[] {
  const given = String(values[name] ?? 'all')
  const names = given === 'all' ? [...all] : given.split(',')
  const unknown = names.find(one => !all.some(known => known === one))
  if (unknown !== undefined) {
    throw new RequestError('invalid_request',
      `--${name} must be a comma-separated list of ${all.join(', ')}; got ${JSON.stringify(unknown)}`, { param: name })
  }
  return names as Name[]
}

/** A required option. @throws RequestError naming it */
export function requiredOption (values: Values, name: string): string {
  const value = values[name]
  if (typeof value !== 'string' ||
      value === '') throw new RequestError('invalid_request', `--${name} is required`, { param: name })
  return value
}

/** The help lines of options. */
export function describeOptions (options: Options): string {
  const rows = Object.entries(options).map(([name, { type, help, default: value }]) => [
    `--${name}${type === 'boolean' ? '' : ' …'}`, value === undefined || value === '' ? help : `${help} [${value}]`
  ] as const)
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}
