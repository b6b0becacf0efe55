/**
 * The settings in force: defaults, then the settings file, then the environment, then flags or what a program gives.
 * The only place that reads `process.env`.
 */
import { readDataFile } from './config-file.js'
import { RequestError } from './errors.js'
import {
  engineSettingNames, environmentName, flagName, settingNames, settings, type Config, type EngineSettings, type Setting,
  type SettingName, type SettingValue
} from './settings.js'
import { isObject, nearestName, refuse } from './validation.js'

/**
 * @param shown the value as it was given
 * @throws RequestError naming where it was given, the rule and the value
 */
function check (name: SettingName, value: unknown, source: string, shown = value): SettingValue {
  const setting: Setting = settings[name]
  const fail = (rule: string): RequestError =>
    new RequestError('invalid_request', `${source} must be ${rule}; got ${JSON.stringify(shown)}`, { param: name })
  if (setting.type === 'integer') {
    const { min, max } = setting
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    throw fail(`an integer from ${min} to ${max}`)
  }
  if (setting.type === 'list') {
    if (Array.isArray(value) && value.every(one => typeof one === 'string' && one !== '')) return value
    throw fail('a list of texts')
  }
  if (setting.choices && !setting.choices.includes(value as string)) throw fail(`one of ${setting.choices.join(', ')}`)
  if (typeof value !== 'string') throw fail('a text')
  if (setting.pattern && !setting.pattern[0].test(value)) throw fail(setting.pattern[1])
  return value
}

/** A value given as text, by a flag or the environment. */
function parse (name: SettingName, text: string, source: string): SettingValue {
  const { type } = settings[name]
  if (type === 'list') return check(name, text === '' ? [] : text.split(',').map(one => one.trim()), source)
  return check(name, type === 'integer' && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text,
    source, text)
}

/**
 * The settings file: values by flag name, and profiles.
 * @throws RequestError naming the file and what is wrong in it
 */
function readFile (path: string): {
  readonly values: ReadonlyMap<SettingName, SettingValue>, readonly profiles?: unknown
} {
  const given = readDataFile(path) ?? {}
  if (!isObject(given)) throw refuse(path, 'must hold settings by name', given)
  const { profiles, ...rest } = given
  const names = new Map(settingNames.filter(name => name !== 'config').map(name => [flagName(name), name]))
  const values = new Map(Object.entries(rest).map(([key, value]) => {
    const name = names.get(key)
    if (name) return [name, check(name, value, `${path}: ${key}`)]
    const nearest = nearestName(key, [...names.keys(), 'profiles'])
    throw new RequestError('invalid_request',
      `${path}: ${key} is not a setting${nearest === null ? '' : `; did you mean ${nearest}?`}`, { param: key })
  }))
  return { values, ...(profiles === undefined ? {} : { profiles }) }
}

/** What a setting is where it was not given. @param models how many are served */
function defaultOf (name: SettingName, models: number): SettingValue {
  const setting: Setting = settings[name]
  return setting.type === 'integer' && setting.perModel ? Math.floor(setting.default / models) : setting.default
}

/** A value where one was given, and what it was given as. */
type Given = (name: SettingName) => SettingValue | undefined

/** The settings in force: defaults, then the settings file, then the environment, then what the caller gives. */
function settle (given: Given, environment: NodeJS.ProcessEnv): Config {
  const inEnvironment: Given = name => {
    const variable = environment[environmentName(name)]
    return variable === undefined ? undefined : parse(name, variable, environmentName(name))
  }
  const path = (given('config') ?? inEnvironment('config')) as string | undefined
  const file = path ? readFile(path) : null
  const chosen: Given = name => given(name) ?? inEnvironment(name) ?? file?.values.get(name)
  const { length: more } = (chosen('moreModels') ?? settings.moreModels.default) as readonly string[]
  const config = Object.fromEntries(settingNames.map(name => [name, chosen(name) ?? defaultOf(name, 1 + more)]))
  return Object.freeze({ ...config, profiles: file?.profiles }) as Config
}

/**
 * The settings in force: defaults, then the settings file, then the environment, then flags.
 * @param flags values by setting name, as text, as a command line gives them
 * @throws RequestError naming the flag, the variable or the file, the rule and the value
 */
export function loadConfig (
  flags: Partial<Record<SettingName, string>> = {}, environment: NodeJS.ProcessEnv = process.env
): Config {
  return settle(name => flags[name] === undefined ? undefined : parse(name, flags[name], `--${flagName(name)}`),
    environment)
}

/** A secret that a settings or data file names rather than holds; null where the variable is not set, or empty. */
export function secret (variable: string): string | null { return process.env[variable] || null }

/**
 * The settings in force for a program that runs the model itself: as `loadConfig`, with values in place of flags.
 * @throws RequestError naming the setting, the variable or the file, the rule and the value; for an unknown setting the
 * nearest
 */
export function engineConfig (values: Partial<EngineSettings>, environment: NodeJS.ProcessEnv = process.env): Config {
  const names: readonly string[] = engineSettingNames
  const unknown = Object.keys(values).find(name => !names.includes(name))
  if (unknown !== undefined) {
    const nearest = nearestName(unknown, names)
    throw new RequestError('invalid_request', `${unknown} is not a ` +
      `setting${nearest === null ? `; there are ${names.join(', ')}` : `; did you mean ${nearest}?`}`,
    { param: unknown })
  }
  const given = values as Partial<Record<SettingName, SettingValue>>
  return settle(name => given[name] === undefined ? undefined : check(name, given[name], name), environment)
}
