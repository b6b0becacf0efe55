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
  | SettingBase & {
    readonly type: 'string',
    readonly default: string,
    readonly choices?: readonly string[],
    /** What values must look like, and the rule in words. */
    readonly pattern?: readonly [matches: RegExp, rule: string]
  }
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
export const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity)

/**
 * The settings in the order they are printed. A flag is the name in kebab-case, an environment name FAIRLEAD_ and the
 * name in upper case.
 */
export const settings = {
  config: text('', 'settings file (YAML or JSON): settings by flag name, and profiles'),
  host: text('127.0.0.1', 'address to listen on', serverOnly),
  port: integer(8000, [0, 65535], 'port to listen on; 0 picks a free one', serverOnly),
  model: text('smollm2-135m',
    'name of a model in models/, or path to a GGUF file or to a Hugging Face checkpoint folder'),
  moreModels: list(
    'additional models to serve, as comma-separated name=model pairs (model is a path, a name in models/, or ' +
      'URL#model as in --policy); requests select one by name, the default is --model'),
  policy: list(
    'inference engine that runs the default model in place of --model: base URL with the engine’s name of the model, ' +
      'such as http://127.0.0.1:8000#Qwen/Qwen2.5-7B-Instruct; replicas comma-separated'),
  policyTokenizer: list(
    'where the tokenizer and chat template of --policy are: a folder with tokenizer.json and tokenizer_config.json, ' +
      'a GGUF file, or a name in models/; default where the engine says, on this machine; ' +
      'name=path for one of --more-models, comma-separated'),
  policyApiKeyEnv: text('', 'name of the environment variable that holds the API key for inference engines'),
  policyTimeoutMs: integer(120_000, [100, 3_600_000],
    'time without progress after which a call to an inference engine has failed (ms)'),
  policyTotalTimeoutMs: integer(3_600_000, [100, 86_400_000],
    'maximum duration of one call to an inference engine (ms)'),
  chatTemplate: list(
    'file with a Jinja chat template that takes the place of the model’s own, or gives one to a model without; ' +
      'name=file for one of --more-models, comma-separated'),
  cacheDir: text(join(homedir(), '.cache', 'fairlead'), 'cache directory: downloaded and converted models, features'),
  dataDir: text(join(homedir(), '.local', 'share', 'fairlead'),
    'data directory: fitted rewards, stored completions, feedback'),
  store: text('',
    'PostgreSQL database that replicas share, postgresql://USER:PASSWORD@HOST:PORT/DATABASE: stored completions and ' +
      'responses, feedback, fitted rewards and rates per minute are kept there instead of in data-dir and in memory'),
  rewardsDir: text('', 'directory with additional rewards (*.json) next to the built-in ones'),
  contrastModels: list(
    'language models available to token guidance as contrast, as comma-separated name=path pairs (a GGUF file or a ' +
      'checkpoint folder); each must share the vocabulary of a served model'),
  remoteScorers: list(
    'origins that remote rewards may call (allowlist), such as http://127.0.0.1:8001; none by default'),
  format: text('i8',
    'weight format: i8 is the fastest, exact keeps the file’s own blocks, f32 is the reference, f16 is for devices ' +
      'alone; see Weight formats',
    { choices: ['i8', 'q8', 'q4', 'exact', 'f32', 'f16'] }),
  device: text('cpu',
    'what models run on: cpu is the processor, webgpu a GPU through Vulkan, Metal or Direct3D 12, cuda or cuda:N a ' +
      'GPU through CUDA; auto takes a GPU where there is one, and else the processor',
    { pattern: [/^(auto|cpu|webgpu|cuda(:\d{1,3})?)$/, 'auto, cpu, webgpu, cuda or cuda:N'] as const }),
  cudaProvider: text('',
    'folder of the CUDA build of ONNX Runtime 1.30 (onnxruntime/capi of the Python package onnxruntime-gpu); ' +
      'default: that of onnxruntime-node'),
  threads: integer(availableParallelism(), [1, 256], 'threads per forward pass; default: the number of cores'),
  contextLength: integer(0, [0, 1 << 20], 'maximum context length in tokens (prompt + answer); 0 = the model’s limit'),
  maxSequences: integer(160, [1, 4096],
    'maximum number of sequences that run at the same time, per model or per replica of an inference engine; more ' +
      'may be open'),
  kvCacheBytes: integer(Math.floor(memory / 4), [1 << 20, 2 ** 50],
    'KV cache budget in bytes that running requests can reserve, per model; default: a quarter of memory, divided ' +
      'among the models', perModel),
  rewardKvCacheBytes: integer(Math.floor(memory / 8), [1 << 20, 2 ** 50],
    'KV cache budget in bytes that running requests can reserve in each reward model and contrast model; default: ' +
      'an eighth of memory'),
  prefixCacheBytes: integer(Math.floor(memory / 16), [0, 2 ** 50],
    'prefix cache size in bytes, per model; 0 disables prefix caching; default: a sixteenth of memory, divided ' +
      'among the models', perModel),
  sharedPrompts: text('on',
    'store a prompt’s KV once for all its candidates where that pays off; off stores a copy with each candidate',
    { choices: ['on', 'off'] }),
  prefillTokensPerStep: integer(256, [2, 8192],
    'prefill chunk size in tokens; smaller chunks delay running requests less'),
  maxTokensPerRequest: integer(65536, [1, 1 << 30],
    'maximum tokens per request: fan-out × max_tokens, or the tokens it has scored'),
  maxPromptTokensPerRequest: integer(300_000, [1, 1 << 30],
    'maximum prompt tokens per request, all its prompts, inputs and contexts together'),
  maxQueuedRequests: integer(256, [0, 1 << 20],
    'maximum queued requests per model, of which one caller may have three quarters; further requests get 429',
    serverOnly),
  maxPendingRequestBytes: integer(128 << 20, [1024, 2 ** 40],
    'total size in bytes of the requests that are received, run or wait, of which one caller may have a quarter; a ' +
      'body that does not say its length counts as --body-limit-bytes; further requests get 429', serverOnly),
  bodyLimitBytes: integer(2 << 20, [1024, 1 << 30], 'maximum request body size in bytes', serverOnly),
  requestTimeoutMs: integer(60000, [100, 3600000],
    'time a client has to send a request, headers and body (ms)', serverOnly),
  maxWebSockets: integer(1024, [1, 1 << 20], 'maximum open WebSocket connections', serverOnly),
  maxRequestsPerSocket: integer(32, [1, 4096], 'maximum requests in flight per WebSocket', serverOnly),
  drainTimeoutMs: integer(30000, [0, 3600000],
    'time that in-flight requests have to finish after SIGTERM (ms)', serverOnly),
  apiKeys: list(
    'comma-separated API keys for inference; prefer the environment or a file to the command line', serverOnly),
  adminKeys: list('API keys with the admin role', serverOnly),
  apiKeysFile: text('',
    'file with a list of API keys: name, sha256, role, max_requests, requests_per_minute, ' +
      'tokens_per_minute', serverOnly),
  maxRequestsPerKey: integer(0, [0, 1 << 20], 'maximum concurrent requests per API key; 0 = unlimited', serverOnly),
  requestsPerMinutePerKey: integer(0, [0, 1 << 30], 'requests per minute per API key; 0 = unlimited', serverOnly),
  tokensPerMinutePerKey: integer(0, [0, 1 << 30],
    'generated tokens per minute per API key, including discarded candidates; 0 = unlimited', serverOnly),
  storedCompletions: integer(10000, [1, 1 << 24],
    'maximum chat completions (store: true) kept in data-dir per API key; its oldest are evicted first; those with ' +
      'feedback are kept and not counted', serverOnly),
  storedCompletionBytesPerKey: integer(256 << 20, [1024, 2 ** 40],
    'maximum size of an API key’s stored chat completions without feedback in bytes; its oldest are evicted first',
    serverOnly),
  storedCompletionBytes: integer(2 ** 30, [1 << 20, 2 ** 50],
    'maximum size of all stored chat completions and feedback in bytes; when it is reached, the caller’s own oldest ' +
      'are evicted, or store: true is refused', serverOnly),
  storedResponses: integer(1024, [1, 1 << 24],
    'maximum responses of /v1/responses kept in memory per API key; its least recently used are evicted first',
    serverOnly),
  storedResponseBytesPerKey: integer(64 << 20, [1024, 2 ** 40],
    'maximum size of an API key’s stored responses in bytes, the events of background responses included; its least ' +
      'recently used are evicted first', serverOnly),
  storedResponseBytes: integer(256 << 20, [1024, 2 ** 40],
    'maximum size of all stored responses in bytes; when it is reached, the caller’s own are evicted, or the ' +
      'response is not stored', serverOnly),
  keptRuns: integer(0, [0, 1 << 16],
    'journals of runs that are kept in memory for /v1/runs, prompts and answers of all callers included; the oldest ' +
      'are evicted first; 0 = none', serverOnly),
  keptRunBytes: integer(64 << 20, [1 << 20, 2 ** 40],
    'maximum size of the kept runs in memory in bytes; the oldest are evicted first', serverOnly),
  corsOrigins: list('origins whose web pages may call the server; * allows any', serverOnly),
  allowedHosts: list(
    'host names the server accepts besides loopback names; all others are rejected if this is set or if the server ' +
      'listens on loopback', serverOnly),
  inspector: text('auto',
    'serve the inspector at /inspect/: auto serves it where the server listens on loopback',
    { ...serverOnly, choices: ['auto', 'on', 'off'] }),
  metricsNames: text('fairlead',
    'metric names: vllm uses vLLM’s names where it has the same metric',
    { ...serverOnly, choices: ['fairlead', 'vllm'] }),
  slowReaderTimeoutMs: integer(60000, [10, 3600000],
    'disconnect a client that has read nothing of an answer for this long (ms)', serverOnly),
  webSocketPingMs: integer(30000, [10, 3600000],
    'WebSocket ping interval (ms); connections that miss a pong are closed', serverOnly),
  logFormat: text('auto', 'log format: json, text for people, or auto: text where the output is a terminal',
    { ...serverOnly, choices: ['auto', 'json', 'text'] }),
  logLevel: text('info',
    'minimum log level', { ...serverOnly, choices: ['silent', 'fatal', 'error', 'warn', 'info', 'debug'] })
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
