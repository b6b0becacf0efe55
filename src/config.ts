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
    type: 'string', default: '', help: 'file with settings by their flag names, YAML or JSON, and with profiles'
  },
  host: { type: 'string', serverOnly: true, default: '127.0.0.1', help: 'address to listen on' },
  port: {
    type: 'integer', serverOnly: true, default: 8000, min: 0, max: 65535, help: 'port to listen on; 0 takes a free one'
  },
  model: {
    type: 'string',
    default: 'smollm2-135m',
    help: 'name of a model in models/, or path of a GGUF file or of a folder with a Hugging Face checkpoint'
  },
  moreModels: {
    type: 'list',
    default: [],
    help: 'models to serve beside it, as name=model (a path, or a name in models/), separated by commas; requests ' +
      'choose by name, and model is the default'
  },
  cacheDir: {
    type: 'string',
    default: join(homedir(), '.cache', 'fairlead'),
    help: 'folder for downloaded and converted models and for features'
  },
  dataDir: {
    type: 'string',
    default: join(homedir(), '.local', 'share', 'fairlead'),
    help: 'folder for what the server is given to keep: fitted rewards, stored completions and feedback'
  },
  rewardsDir: { type: 'string', default: '', help: 'folder with more rewards (*.json) beside those in the box' },
  contrastModels: {
    type: 'list',
    default: [],
    help: 'language models that token guidance can contrast, as name=path (a GGUF file or a checkpoint’s folder), ' +
      'separated by commas; each must have the vocabulary of a model that is served'
  },
  remoteScorers: {
    type: 'list',
    default: [],
    help: 'origins that remote rewards may have, such as http://127.0.0.1:8001; none by default'
  },
  format: {
    type: 'string',
    default: 'i8',
    choices: ['i8', 'q8', 'q4', 'exact', 'f32'],
    help: 'weight format: i8 is the fastest, exact keeps the file’s own blocks, f32 is the reference; see ' +
      'Weight formats'
  },
  threads: {
    type: 'integer',
    default: availableParallelism(),
    min: 1,
    max: 256,
    help: 'threads of a forward pass; default: the cores'
  },
  contextLength: {
    type: 'integer',
    default: 0,
    min: 0,
    max: 1 << 20,
    help: 'longest prompt and answer together, tokens; 0 is the model’s own'
  },
  maxSequences: {
    type: 'integer',
    default: 160,
    min: 1,
    max: 4096,
    help: 'sequences that can run at the same time, for each model; more may be open'
  },
  kvCacheBytes: {
    type: 'integer',
    perModel: true,
    default: Math.floor(memory / 4),
    min: 1 << 20,
    max: 2 ** 50,
    help: 'bytes of KV that running requests may reserve together, for each model; default: a quarter of the memory, ' +
      'divided among the models'
  },
  rewardKvCacheBytes: {
    type: 'integer',
    default: Math.floor(memory / 8),
    min: 1 << 20,
    max: 2 ** 50,
    help: 'bytes of KV that running requests may reserve in each model of a reward or of contrast-models; default: ' +
      'an eighth of the memory'
  },
  prefixCacheBytes: {
    type: 'integer',
    perModel: true,
    default: Math.floor(memory / 16),
    min: 0,
    max: 2 ** 50,
    help: 'bytes of KV kept for later prompts that begin alike, for each model; 0 turns the prefix cache off; ' +
      'default: a sixteenth of the memory, divided among the models'
  },
  sharedPrompts: {
    type: 'string',
    default: 'on',
    choices: ['on', 'off'],
    help: 'whether the KV of a prompt is stored once for all its candidates where that pays; off stores it with each ' +
      'of them'
  },
  prefillTokensPerStep: {
    type: 'integer',
    default: 256,
    min: 2,
    max: 8192,
    help: 'prompt tokens read in one step, so that others wait no longer'
  },
  maxTokensPerRequest: {
    type: 'integer',
    default: 65536,
    min: 1,
    max: 1 << 30,
    help: 'ceiling of one request: fan-out × max_tokens, or the tokens it has scored'
  },
  maxQueuedRequests: {
    type: 'integer',
    serverOnly: true,
    default: 256,
    min: 0,
    max: 1 << 20,
    help: 'requests that wait for KV, for each model, before others get 429'
  },
  bodyLimitBytes: {
    type: 'integer', serverOnly: true, default: 2 << 20, min: 1024, max: 1 << 30, help: 'largest request body, bytes'
  },
  maxWebSockets: {
    type: 'integer', serverOnly: true, default: 1024, min: 1, max: 1 << 20, help: 'open WebSocket connections'
  },
  maxRequestsPerSocket: {
    type: 'integer', serverOnly: true, default: 32, min: 1, max: 4096, help: 'requests in flight on one WebSocket'
  },
  drainTimeoutMs: {
    type: 'integer',
    serverOnly: true,
    default: 30000,
    min: 0,
    max: 3600000,
    help: 'how long running requests may go on after SIGTERM, ms'
  },
  apiKeys: {
    type: 'list',
    serverOnly: true,
    default: [],
    help: 'API keys for inference, separated by commas; better in the environment or a file than on a command line'
  },
  adminKeys: { type: 'list', serverOnly: true, default: [], help: 'API keys that may change what the server has, too' },
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
    help: 'requests of one API key at a time; 0 is no limit'
  },
  requestsPerMinutePerKey: {
    type: 'integer',
    serverOnly: true,
    default: 0,
    min: 0,
    max: 1 << 30,
    help: 'requests of one API key a minute; 0 is no limit'
  },
  tokensPerMinutePerKey: {
    type: 'integer',
    serverOnly: true,
    default: 0,
    min: 0,
    max: 1 << 30,
    help: 'tokens generated for one API key a minute, discarded candidates too; 0 is no limit'
  },
  storedCompletions: {
    type: 'integer',
    serverOnly: true,
    default: 10000,
    min: 1,
    max: 1 << 24,
    help: 'chat completions asked for with store: true that are kept in data-dir; the oldest without feedback go first'
  },
  storedResponses: {
    type: 'integer',
    serverOnly: true,
    default: 1024,
    min: 1,
    max: 1 << 24,
    help: 'responses of /v1/responses that are kept for later requests, in memory; the oldest unused go first'
  },
  storedResponseBytes: {
    type: 'integer',
    serverOnly: true,
    default: 64 << 20,
    min: 1024,
    max: 2 ** 40,
    help: 'bytes they may take together; a larger one is not kept'
  },
  corsOrigins: {
    type: 'list', serverOnly: true, default: [], help: 'origins whose web pages may call the server; * is any'
  },
  allowedHosts: {
    type: 'list',
    serverOnly: true,
    default: [],
    help: 'names the server answers to, beside those of loopback; on loopback, or with any, it answers to no others'
  },
  metricsNames: {
    type: 'string',
    serverOnly: true,
    default: 'fairlead',
    choices: ['fairlead', 'vllm'],
    help: 'whose names figures carry that vLLM has too'
  },
  slowReaderTimeoutMs: {
    type: 'integer',
    serverOnly: true,
    default: 60000,
    min: 10,
    max: 3600000,
    help: 'how long a reader of a stream may take nothing before it is cut off, ms'
  },
  webSocketPingMs: {
    type: 'integer',
    serverOnly: true,
    default: 30000,
    min: 10,
    max: 3600000,
    help: 'between pings; a WebSocket that missed one is closed, ms'
  },
  logLevel: {
    type: 'string',
    serverOnly: true,
    default: 'info',
    choices: ['silent', 'fatal', 'error', 'warn', 'info', 'debug'],
    help: 'least severe log line written'
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
