/**
 * Every setting, once: default, unit, range and help line. `--help`, the docs' table, the environment and the settings
 * file are read from this table; `config.ts` reads values.
 */
import { availableParallelism, homedir, totalmem } from 'node:os'
import { join } from 'node:path'

interface SettingBase {
  readonly help: string
  /** True if only `fairlead serve` has a use for it. */
  readonly serverOnly?: true
}
/** What is known of one setting. */
export type Setting =
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

const serverOnly = { serverOnly: true } as const
const perModel = { perModel: true } as const

/** A setting whose value is a text, one of `choices` if there are any. */
const text = <M extends object> (value: string, help: string, more?: M) =>
  ({ type: 'string', default: value, help, ...more as M }) as const

/** One that is a list of texts, by default empty. */
const list = <M extends object> (help: string, more?: M) =>
  ({ type: 'list', default: [] as readonly string[], help, ...more as M }) as const

/** One that is an integer within a range. */
const integer = <M extends object> (
  value: number, [min, max]: readonly [min: number, max: number], help: string, more?: M
) => ({ type: 'integer', default: value, min, max, help, ...more as M }) as const

/** Memory of the machine, or of the container where that is less, bytes. */
const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity)

/**
 * The settings in the order they are printed. A flag is the name in kebab-case, an environment name FAIRLEAD_ and the
 * name in upper case.
 */
export const settings = {
  config: text('', 'file with settings by their flag names, YAML or JSON, and with profiles'),
  host: text('127.0.0.1', 'address to listen on', serverOnly),
  port: integer(8000, [0, 65535], 'port to listen on; 0 takes a free one', serverOnly),
  model: text('smollm2-135m',
    'name of a model in models/, or path of a GGUF file or of a folder with a Hugging Face checkpoint'),
  moreModels: list(
    'models to serve beside it, as name=model (a path, or a name in models/), separated by commas; requests choose ' +
      'by name, and model is the default'),
  cacheDir: text(join(homedir(), '.cache', 'fairlead'), 'folder for downloaded and converted models and for features'),
  dataDir: text(join(homedir(), '.local', 'share', 'fairlead'),
    'folder for what the server is given to keep: fitted rewards, stored completions and feedback'),
  rewardsDir: text('', 'folder with more rewards (*.json) beside those in the box'),
  contrastModels: list(
    'language models that token guidance can contrast, as name=path (a GGUF file or a checkpoint’s folder), ' +
      'separated by commas; each must have the vocabulary of a model that is served'),
  remoteScorers: list('origins that remote rewards may have, such as http://127.0.0.1:8001; none by default'),
  format: text('i8',
    'weight format: i8 is the fastest, exact keeps the file’s own blocks, f32 is the reference; see Weight formats',
    { choices: ['i8', 'q8', 'q4', 'exact', 'f32'] }),
  threads: integer(availableParallelism(), [1, 256], 'threads of a forward pass; default: the cores'),
  contextLength: integer(0, [0, 1 << 20], 'longest prompt and answer together, tokens; 0 is the model’s own'),
  maxSequences: integer(160, [1, 4096], 'sequences that can run at the same time, for each model; more may be open'),
  kvCacheBytes: integer(Math.floor(memory / 4), [1 << 20, 2 ** 50],
    'bytes of KV that running requests may reserve together, for each model; default: a quarter of the ' +
      'memory, divided among the models', perModel),
  rewardKvCacheBytes: integer(Math.floor(memory / 8), [1 << 20, 2 ** 50],
    'bytes of KV that running requests may reserve in each model of a reward or of contrast-models; default: an ' +
      'eighth of the memory'),
  prefixCacheBytes: integer(Math.floor(memory / 16), [0, 2 ** 50],
    'bytes of KV kept for later prompts that begin alike, for each model; 0 turns the prefix cache off; ' +
      'default: a sixteenth of the memory, divided among the models', perModel),
  sharedPrompts: text('on',
    'whether the KV of a prompt is stored once for all its candidates where that pays; ' +
      'off stores it with each of them', { choices: ['on', 'off'] }),
  prefillTokensPerStep: integer(256, [2, 8192], 'prompt tokens read in one step, so that others wait no longer'),
  maxTokensPerRequest: integer(65536, [1, 1 << 30],
    'ceiling of one request: fan-out × max_tokens, or the tokens it has scored'),
  maxQueuedRequests: integer(256, [0, 1 << 20],
    'requests that wait for KV, for each model, before others get 429', serverOnly),
  bodyLimitBytes: integer(2 << 20, [1024, 1 << 30], 'largest request body, bytes', serverOnly),
  maxWebSockets: integer(1024, [1, 1 << 20], 'open WebSocket connections', serverOnly),
  maxRequestsPerSocket: integer(32, [1, 4096], 'requests in flight on one WebSocket', serverOnly),
  drainTimeoutMs: integer(30000, [0, 3600000], 'how long running requests may go on after SIGTERM, ms', serverOnly),
  apiKeys: list(
    'API keys for inference, separated by commas; better in the environment or a file than on a command ' +
      'line', serverOnly),
  adminKeys: list('API keys that may change what the server has, too', serverOnly),
  apiKeysFile: text('',
    'file with a list of API keys: name, sha256, role, max_requests, requests_per_minute, ' +
      'tokens_per_minute', serverOnly),
  maxRequestsPerKey: integer(0, [0, 1 << 20], 'requests of one API key at a time; 0 is no limit', serverOnly),
  requestsPerMinutePerKey: integer(0, [0, 1 << 30], 'requests of one API key a minute; 0 is no limit', serverOnly),
  tokensPerMinutePerKey: integer(0, [0, 1 << 30],
    'tokens generated for one API key a minute, discarded candidates too; 0 is no limit', serverOnly),
  storedCompletions: integer(10000, [1, 1 << 24],
    'chat completions asked for with store: true that are kept in data-dir; the oldest without feedback ' +
      'go first', serverOnly),
  storedResponses: integer(1024, [1, 1 << 24],
    'responses of /v1/responses that are kept for later requests, in memory; the oldest unused go first', serverOnly),
  storedResponseBytes: integer(64 << 20, [1024, 2 ** 40],
    'bytes they may take together; a larger one is not kept', serverOnly),
  corsOrigins: list('origins whose web pages may call the server; * is any', serverOnly),
  allowedHosts: list(
    'names the server answers to, beside those of loopback; on loopback, or with any, it answers to no ' +
      'others', serverOnly),
  metricsNames: text('fairlead',
    'whose names figures carry that vLLM has too', { ...serverOnly, choices: ['fairlead', 'vllm'] }),
  slowReaderTimeoutMs: integer(60000, [10, 3600000],
    'how long a reader of a stream may take nothing before it is cut off, ms', serverOnly),
  webSocketPingMs: integer(30000, [10, 3600000],
    'between pings; a WebSocket that missed one is closed, ms', serverOnly),
  logLevel: text('info',
    'least severe log line written', { ...serverOnly, choices: ['silent', 'fatal', 'error', 'warn', 'info', 'debug'] })
} satisfies Record<string, Setting>

export type SettingName = keyof typeof settings
type ValueOf<T> = T extends 'integer' ? number : T extends 'list' ? readonly string[] : string
export type Config = { readonly [K in SettingName]: ValueOf<(typeof settings)[K]['type']> } & {
  /** Profiles by name, as the settings file has them. */
  readonly profiles?: unknown
}

/** What a setting may hold. */
export type SettingValue = string | number | readonly string[]

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
