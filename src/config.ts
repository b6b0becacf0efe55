/**
 * Every setting, once: default, unit, range, environment name and help line. `--help`, the docs' table, the environment
 * and the settings file are read from this schema. The only place that reads `process.env`.
 */
import { availableParallelism, homedir, totalmem } from 'node:os'
import { join } from 'node:path'
import { readDataFile } from './config-file.js'
import { RequestError } from './errors.js'
import { isObject, nearestName, refuse } from './validation.js'

interface SettingBase {
  readonly help: string
  /** True if only `fairlead serve` has a use for it. */
  readonly serverOnly?: true
}
type Setting =
  | SettingBase & { readonly type: 'string', readonly default: string, readonly choices?: readonly string[] }
  | SettingBase & { readonly type: 'list', readonly default: readonly string[] }
  | SettingBase & {
    readonly type: 'integer',
    readonly default: number,
    readonly min: number,
    readonly max: number,
    /** Whether each model has as much, so that the default is divided among them. */
    readonly perModel?: true
  }

/** Memory of the machine, or of the container where that is less, bytes. */
const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity)

/**
 * The settings in the order they are printed. A flag is the name in kebab-case, an environment name FAIRLEAD_ and the
 * name in upper case.
 */
export const settings = {
  config: {
    type: 'string', default: '', help: 'settings file (YAML or JSON): settings by flag name, and profiles'
  },
  host: { type: 'string', serverOnly: true, default: '127.0.0.1', help: 'address to listen on' },
  port: {
    type: 'integer', serverOnly: true, default: 8000, min: 0, max: 65535, help: 'port to listen on; 0 picks a free one'
  },
  model: {
    type: 'string',
    default: 'smollm2-135m',
    help: 'name of a model in models/, or path to a GGUF file or to a Hugging Face checkpoint folder'
  },
  moreModels: {
    type: 'list',
    default: [],
    help: 'additional models to serve, as comma-separated name=model pairs (model is a path or a name in models/); ' +
      'requests select one by name, the default is --model'
  },
  cacheDir: {
    type: 'string',
    default: join(homedir(), '.cache', 'fairlead'),
    help: 'cache directory: downloaded and converted models, features'
  },
  dataDir: {
    type: 'string',
    default: join(homedir(), '.local', 'share', 'fairlead'),
    help: 'data directory: fitted rewards, stored completions, feedback'
  },
  rewardsDir: {
    type: 'string',
    default: '',
    help: 'directory with additional rewards (*.json) next to the built-in ones'
  },
  contrastModels: {
    type: 'list',
    default: [],
    help: 'language models available to token guidance as contrast, as comma-separated name=path pairs (a GGUF file ' +
      'or a checkpoint folder); each must share the vocabulary of a served model'
  },
  remoteScorers: {
    type: 'list',
    default: [],
    help: 'origins that remote rewards may call (allowlist), such as http://127.0.0.1:8001; none by default'
  },
  format: {
    type: 'string',
    default: 'i8',
    choices: ['i8', 'q8', 'q4', 'exact', 'f32'],
    help: 'weight format: i8 is the fastest, exact keeps the file’s own blocks, f32 is the reference; see Weight ' +
      'formats'
  },
  threads: {
    type: 'integer',
    default: availableParallelism(),
    min: 1,
    max: 256,
    help: 'threads per forward pass; default: the number of cores'
  },
  contextLength: {
    type: 'integer',
    default: 0,
    min: 0,
    max: 1 << 20,
    help: 'maximum context length in tokens (prompt + answer); 0 = the model’s limit'
  },
  maxSequences: {
    type: 'integer',
    default: 160,
    min: 1,
    max: 4096,
    help: 'maximum number of sequences that run at the same time, per model; more may be open'
  },
  kvCacheBytes: {
    type: 'integer',
    perModel: true,
    default: Math.floor(memory / 4),
    min: 1 << 20,
    max: 2 ** 50,
    help: 'KV cache budget in bytes that running requests can reserve, per model; default: a quarter of memory, ' +
      'divided among the models'
  },
  rewardKvCacheBytes: {
    type: 'integer',
    default: Math.floor(memory / 8),
    min: 1 << 20,
    max: 2 ** 50,
    help: 'KV cache budget in bytes that running requests can reserve in each reward model and contrast model; ' +
      'default: an eighth of memory'
  },
  prefixCacheBytes: {
    type: 'integer',
    perModel: true,
    default: Math.floor(memory / 16),
    min: 0,
    max: 2 ** 50,
    help: 'prefix cache size in bytes, per model; 0 disables prefix caching; default: a sixteenth of memory, divided ' +
      'among the models'
  },
  sharedPrompts: {
    type: 'string',
    default: 'on',
    choices: ['on', 'off'],
    help: 'store a prompt’s KV once for all its candidates where that pays off; off stores a copy with each candidate'
  },
  prefillTokensPerStep: {
    type: 'integer',
    default: 256,
    min: 2,
    max: 8192,
    help: 'prefill chunk size in tokens; smaller chunks delay running requests less'
  },
  maxTokensPerRequest: {
    type: 'integer',
    default: 65536,
    min: 1,
    max: 1 << 30,
    help: 'maximum tokens per request: fan-out × max_tokens, or the tokens it has scored'
  },
  maxQueuedRequests: {
    type: 'integer',
    serverOnly: true,
    default: 256,
    min: 0,
    max: 1 << 20,
    help: 'maximum queued requests per model; further requests get 429'
  },
  bodyLimitBytes: {
    type: 'integer',
    serverOnly: true,
    default: 2 << 20,
    min: 1024,
    max: 1 << 30,
    help: 'maximum request body size in bytes'
  },
  maxWebSockets: {
    type: 'integer', serverOnly: true, default: 1024, min: 1, max: 1 << 20, help: 'maximum open WebSocket connections'
  },
  maxRequestsPerSocket: {
    type: 'integer', serverOnly: true, default: 32, min: 1, max: 4096, help: 'maximum requests in flight per WebSocket'
  },
  drainTimeoutMs: {
    type: 'integer',
    serverOnly: true,
    default: 30000,
    min: 0,
    max: 3600000,
    help: 'time that in-flight requests have to finish after SIGTERM (ms)'
  },
  apiKeys: {
    type: 'list',
    serverOnly: true,
    default: [],
    help: 'comma-separated API keys for inference; prefer the environment or a file to the command line'
  },
  adminKeys: { type: 'list', serverOnly: true, default: [], help: 'API keys with the admin role' },
  apiKeysFile: {
    type: 'string',
    serverOnly: true,
    default: '',
    help: 'file with a list of API keys: name, sha256, role, max_requests, requests_per_minute, tokens_per_minute'
  },
  maxRequestsPerKey: {
    type: 'integer',
    serverOnly: true,
    default: 0,
    min: 0,
    max: 1 << 20,
    help: 'maximum concurrent requests per API key; 0 = unlimited'
  },
  requestsPerMinutePerKey: {
    type: 'integer',
    serverOnly: true,
    default: 0,
    min: 0,
    max: 1 << 30,
    help: 'requests per minute per API key; 0 = unlimited'
  },
  tokensPerMinutePerKey: {
    type: 'integer',
    serverOnly: true,
    default: 0,
    min: 0,
    max: 1 << 30,
    help: 'generated tokens per minute per API key, including discarded candidates; 0 = unlimited'
  },
  storedCompletions: {
    type: 'integer',
    serverOnly: true,
    default: 10000,
    min: 1,
    max: 1 << 24,
    help: 'maximum chat completions (store: true) kept in data-dir; evicted oldest first; those with feedback are kept'
  },
  storedResponses: {
    type: 'integer',
    serverOnly: true,
    default: 1024,
    min: 1,
    max: 1 << 24,
    help: 'maximum responses of /v1/responses kept in memory for later requests; the least recently used are evicted ' +
      'first'
  },
  storedResponseBytes: {
    type: 'integer',
    serverOnly: true,
    default: 64 << 20,
    min: 1024,
    max: 2 ** 40,
    help: 'total size of stored responses in bytes; a response larger than this is not stored'
  },
  corsOrigins: {
    type: 'list', serverOnly: true, default: [], help: 'origins whose web pages may call the server; * allows any'
  },
  allowedHosts: {
    type: 'list',
    serverOnly: true,
    default: [],
    help: 'host names the server accepts besides loopback names; all others are rejected if this is set or if the ' +
      'server listens on loopback'
  },
  metricsNames: {
    type: 'string',
    serverOnly: true,
    default: 'fairlead',
    choices: ['fairlead', 'vllm'],
    help: 'metric names: vllm uses vLLM’s names where it has the same metric'
  },
  slowReaderTimeoutMs: {
    type: 'integer',
    serverOnly: true,
    default: 60000,
    min: 10,
    max: 3600000,
    help: 'disconnect a stream’s client that has read nothing for this long (ms)'
  },
  webSocketPingMs: {
    type: 'integer',
    serverOnly: true,
    default: 30000,
    min: 10,
    max: 3600000,
    help: 'WebSocket ping interval (ms); connections that miss a pong are closed'
  },
  logLevel: {
    type: 'string',
    serverOnly: true,
    default: 'info',
    choices: ['silent', 'fatal', 'error', 'warn', 'info', 'debug'],
    help: 'minimum log level'
  }
} as const satisfies Record<string, Setting>

export type SettingName = keyof typeof settings
type ValueOf<T> = T extends 'integer' ? number : T extends 'list' ? readonly string[] : string
export type Config = { readonly [K in SettingName]: ValueOf<(typeof settings)[K]['type']> } & {
  /** Profiles by name, as the settings file has them. */
  readonly profiles?: unknown
}

/** What a setting may hold. */
type Value = string | number | readonly string[]

export const settingNames = Object.keys(settings) as SettingName[]

/** Settings of what runs the model, not of the server around it. */
export type EngineSettingName =
  { [K in SettingName]: (typeof settings)[K] extends { serverOnly: true } ? never : K }[SettingName]

export const engineSettingNames = settingNames.filter((name): name is EngineSettingName =>
  !('serverOnly' in settings[name]))

/** Settings of what runs the model, as values. @interface */
export type EngineSettings = Pick<Config, EngineSettingName>

/** `maxSequences` → `max-sequences`. */
export function flagName (name: SettingName): string {
  return name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

/** `maxSequences` → `FAIRLEAD_MAX_SEQUENCES`. */
export function environmentName (name: SettingName): string {
  return `FAIRLEAD_${flagName(name).replaceAll('-', '_').toUpperCase()}`
}

/**
 * @param shown the value as it was given
 * @throws RequestError naming where it was given, the rule and the value
 */
function check (name: SettingName, value: unknown, source: string, shown = value): Value {
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
  return value
}

/** A value given as text, by a flag or the environment. */
function parse (name: SettingName, text: string, source: string): Value {
  const { type } = settings[name]
  if (type === 'list') return check(name, text === '' ? [] : text.split(',').map(one => one.trim()), source)
  return check(name, type === 'integer' && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text,
    source, text)
}

/**
 * The settings file: values by flag name, and profiles.
 * @throws RequestError naming the file and what is wrong in it
 */
function readFile (path: string): { readonly values: ReadonlyMap<SettingName, Value>, readonly profiles?: unknown } {
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
function defaultOf (name: SettingName, models: number): Value {
  const setting: Setting = settings[name]
  return setting.type === 'integer' && setting.perModel ? Math.floor(setting.default / models) : setting.default
}

/** A value where one was given, and what it was given as. */
type Given = (name: SettingName) => Value | undefined

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
  const given = values as Partial<Record<SettingName, Value>>
  return settle(name => given[name] === undefined ? undefined : check(name, given[name], name), environment)
}
