/**
 * Every setting, once: default, unit, range, environment name and help line. `--help`, the README's table and the
 * environment are read from this schema. The only place that reads `process.env`.
 */
import { availableParallelism, homedir, totalmem } from 'node:os'
import { join } from 'node:path'
import { RequestError } from './errors.js'

interface SettingBase {
  readonly help: string
  /** True if only `fairlead serve` has a use for it. */
  readonly serverOnly?: true
}
type Setting =
  | SettingBase & { readonly type: 'string', readonly default: string, readonly choices?: readonly string[] }
  | SettingBase & { readonly type: 'integer', readonly default: number, readonly min: number, readonly max: number }

/** Memory of the machine, or of the container where that is less, bytes. */
const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity)

/** The settings in the order they are printed. A flag is the name in kebab-case, an environment name FAIRLEAD_ and the name in upper case. */
export const settings = {
  host: { type: 'string', serverOnly: true, default: '127.0.0.1', help: 'address to listen on' },
  port: { type: 'integer', serverOnly: true, default: 8000, min: 0, max: 65535, help: 'port to listen on; 0 takes a free one' },
  model: { type: 'string', default: 'smollm2-135m', help: 'name of a model in models/, or path of a GGUF file' },
  cacheDir: { type: 'string', default: join(homedir(), '.cache', 'fairlead'), help: 'folder for downloaded and converted models and for features' },
  rewardsDir: { type: 'string', default: '', help: 'folder with more rewards (*.json) beside those in the box' },
  format: { type: 'string', default: 'i8', choices: ['i8', 'q8', 'f32'], help: 'weight format: i8 is the fastest, q8 closer to the file, f32 exact' },
  threads: { type: 'integer', default: availableParallelism(), min: 1, max: 256, help: 'threads of a forward pass; default: the cores' },
  contextLength: { type: 'integer', default: 0, min: 0, max: 1 << 20, help: 'longest prompt and answer together, tokens; 0 is the model’s own' },
  maxSequences: { type: 'integer', default: 160, min: 1, max: 4096, help: 'sequences that can run at the same time; more may be open' },
  kvCacheBytes: { type: 'integer', default: Math.floor(memory / 4), min: 1 << 20, max: 2 ** 50, help: 'bytes of KV that running requests may reserve together; default: a quarter of the memory' },
  prefixCacheBytes: { type: 'integer', default: Math.floor(memory / 16), min: 0, max: 2 ** 50, help: 'bytes of KV kept for later prompts that begin alike; 0 turns the prefix cache off; default: a sixteenth of the memory' },
  prefillTokensPerStep: { type: 'integer', default: 128, min: 2, max: 8192, help: 'prompt tokens read in one step, so that others wait no longer' },
  maxTokensPerRequest: { type: 'integer', default: 65536, min: 1, max: 1 << 30, help: 'ceiling of one request: fan-out × max_tokens' },
  maxQueuedRequests: { type: 'integer', serverOnly: true, default: 256, min: 0, max: 1 << 20, help: 'requests that wait for KV before others get 429' },
  bodyLimitBytes: { type: 'integer', serverOnly: true, default: 2 << 20, min: 1024, max: 1 << 30, help: 'largest request body, bytes' },
  maxWebSockets: { type: 'integer', serverOnly: true, default: 256, min: 1, max: 1 << 20, help: 'open WebSocket connections' },
  maxRequestsPerSocket: { type: 'integer', serverOnly: true, default: 32, min: 1, max: 4096, help: 'requests in flight on one WebSocket' },
  drainTimeoutMs: { type: 'integer', serverOnly: true, default: 30000, min: 0, max: 3600000, help: 'how long running requests may go on after SIGTERM, ms' },
  logLevel: { type: 'string', serverOnly: true, default: 'info', choices: ['silent', 'fatal', 'error', 'warn', 'info', 'debug'], help: 'least severe log line written' }
} as const satisfies Record<string, Setting>

export type SettingName = keyof typeof settings
export type Config = { readonly [K in SettingName]: (typeof settings)[K]['type'] extends 'integer' ? number : string }

export const settingNames = Object.keys(settings) as SettingName[]

/** `maxSequences` → `max-sequences`. */
export function flagName (name: SettingName): string {
  return name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

/** `maxSequences` → `FAIRLEAD_MAX_SEQUENCES`. */
export function environmentName (name: SettingName): string {
  return `FAIRLEAD_${flagName(name).replaceAll('-', '_').toUpperCase()}`
}

function parse (name: SettingName, text: string, source: string): string | number {
  const setting: Setting = settings[name]
  if (setting.type === 'string') {
    if (setting.choices && !setting.choices.includes(text)) {
      throw new RequestError('invalid_request', `${source} must be one of ${setting.choices.join(', ')}; got ${JSON.stringify(text)}`, { param: name })
    }
    return text
  }
  const value = Number(text)
  if (text.trim() === '' || !Number.isInteger(value) || value < setting.min || value > setting.max) {
    throw new RequestError('invalid_request', `${source} must be an integer from ${setting.min} to ${setting.max}; got ${JSON.stringify(text)}`, { param: name })
  }
  return value
}

/**
 * The settings in force: defaults, then the environment, then flags.
 * @param flags values by setting name, as text, as a command line gives them
 * @throws RequestError naming the flag or variable, the rule and the value
 */
export function loadConfig (flags: Partial<Record<SettingName, string>> = {}, environment: NodeJS.ProcessEnv = process.env): Config {
  const config: Record<string, string | number> = {}
  for (const name of settingNames) {
    const flag = flags[name]
    const variable = environment[environmentName(name)]
    if (flag !== undefined) config[name] = parse(name, flag, `--${flagName(name)}`)
    else if (variable !== undefined) config[name] = parse(name, variable, environmentName(name))
    else config[name] = settings[name].default
  }
  return Object.freeze(config) as Config
}
