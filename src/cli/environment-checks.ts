/**
 * What `fairlead doctor` checks of a machine beside its arithmetic: whether the server would start with these settings,
 * and what would go wrong later. Changes nothing and loads no model.
 */
import { existsSync } from 'node:fs'
import { access, constants, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { isLoopback } from '../api/plugins/keys.js'
import { RequestError } from '../errors.js'
import { secret } from '../config.js'
import { testArithmetic } from '../models/device/arithmetic-test.js'
import type { AttentionHeads } from '../models/graph/shared-prefix-attention.js'
import type { MatrixKind } from '../models/quantization/weight-format.js'
import { cachedFile, findManifest } from '../models/store/model-store.js'
import { packageRoot } from '../package-root.js'
import { parseOrigins } from '../rewards/kinds/remote.js'
import { RewardStore } from '../rewards/reward-store.js'
import type { DeviceFacts } from '../runtime/device-facts.js'
import { chooseDevice, findDevices } from '../runtime/open-device.js'
import { loadRemote } from '../serving/load-remote.js'
import { servedModelNames, type NamedModel } from '../serving/model-names.js'
import { memory, type Config } from '../settings.js'
import { openRewards } from '../stores/open-store.js'

/** What one check found. With a problem the server does not start; with a warning something will not work. */
export interface Finding {
  readonly check: string
  readonly status: 'ok' | 'warning' | 'problem'
  readonly finding: string
  /** What to change; null where all is well. */
  readonly advice: string | null
}

const ok = (check: string, finding: string): Finding => ({ check, status: 'ok', finding, advice: null })
const warning = (check: string, finding: string, advice: string): Finding =>
  ({ check, status: 'warning', finding, advice })
const problem = (check: string, finding: string, advice: string): Finding =>
  ({ check, status: 'problem', finding, advice })

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`
const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** Free space below which downloads and conversions may fail, bytes. */
const minFreeBytes = 2 ** 30

/** Of a small model: heads, and kinds of matrices, that the arithmetic of a device is tested with. */
const testedHeads: AttentionHeads = { queryHeads: 4, kvHeads: 2, headSize: 64, ropeInterleaved: false }
const testedKinds: readonly MatrixKind[] = [...[4, 8].map(bits => ({
  operator: 'blocks', bits: bits as 4 | 8, size: 32, values: 'rounded', offsets: false, paddingRow: false
} as const)), { operator: 'half' }, { operator: 'float' }]

/** How long a remote scorer may take to answer at all, ms. */
const reachableMs = 3000

/** How long an inference engine may take for a step of its probe, ms: the first call may compile. */
const engineMs = 30_000

/** The folder itself, or the nearest one above it that exists. */
function existing (folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : existing(dirname(folder))
}

async function checkFolder (setting: string, folder: string): Promise<Finding> {
  const at = existing(resolve(folder))
  const isWritable = (await stat(at)).isDirectory() && await access(at, constants.W_OK).then(() => true, () => false)
  if (!isWritable) {
    return problem(setting, `${folder} cannot be written`, `make it writable, or set --${setting} to another directory`)
  }
  const { bavail, bsize } = await statfs(at)
  const free = `${folder}, ${gibibytes(bavail * bsize)} free`
  return bavail * bsize < minFreeBytes
    ? warning(setting, free, `free at least ${gibibytes(minFreeBytes)}, or set --${setting} to another disk`)
    : ok(setting, free)
}

function checkMemory (config: Config, models: number): Finding {
  const caches = models * (config.kvCacheBytes + config.prefixCacheBytes) + config.rewardKvCacheBytes
  const finding = `${gibibytes(memory)}, of which caches may take ${gibibytes(caches)} beside the weights`
  return caches > 0.9 * memory
    ? warning('memory', finding, 'lower --kv-cache-bytes, --prefix-cache-bytes or --reward-kv-cache-bytes')
    : ok('memory', finding)
}

/** What the engine of a model elsewhere is and can do, found out as the server would. */
async function checkEngine (config: Config, { name, remote }: NamedModel): Promise<Finding[]> {
  const check = `engine of ${name}`
  try {
    const runtime =
      await loadRemote({ ...config, policyTimeoutMs: Math.min(config.policyTimeoutMs, engineMs) },
        { name, model: '', remote: remote! }, () => {})
    await runtime.remote.close()
    const { server, protocol, contextLength, alternatives, fields, ignored, heads, guidingHeads, notes, urls } =
      runtime.remote.report
    const listed = (what: string, names: readonly string[]): string =>
      names.length > 0 ? `; ${what}: ${names.join(', ')}` : ''
    const finding = `${server} at ${urls.join(', ')}, by ${protocol}; context ${contextLength}, top_logprobs up to ` +
      `${alternatives}; works: ${fields.join(', ')}${listed('heads', heads)}` +
      listed('guides tokens by', guidingHeads)
    return [
      ignored.length === 0
        ? ok(check, finding)
        : warning(check, `${finding}; has no effect: ${ignored.join(', ')}`, 'requests that need these of the engine are refused; stop rules are kept here'),
      ...notes.map(note => warning(check, note, 'see docs/remote-policy.md'))
    ]
  } catch (error) {
    return [problem(check, messageOf(error), 'see docs/remote-policy.md')]
  }
}

async function checkModel ({ name, model }: NamedModel, cacheDir: string): Promise<Finding> {
  const check = `model ${name}`
  if (existsSync(model)) return ok(check, resolve(model))
  try {
    const manifest = findManifest(model)
    const cached = await cachedFile(manifest, cacheDir)
    return ok(check, cached ?? `will be downloaded at the first start, ${(manifest.sizeBytes / 1e6).toFixed(0)} MB`)
  } catch (error) {
    return problem(check, messageOf(error), 'give the path of a GGUF file or a checkpoint folder, or a known name')
  }
}

/** Whether the server could listen. */
async function checkPort ({ host, port }: Config): Promise<Finding> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, host, resolve) })
    return ok('port', port === 0 ? 'a free one is picked' : `${host}:${port} is free`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'EADDRINUSE'
      ? warning('port', `${host}:${port} is in use, perhaps by a running server`, 'stop it, or set --port to another')
      : problem('port', `cannot listen on ${host}:${port}: ${messageOf(error)}`, 'set --host and --port')
  } finally {
    server.close()
  }
}

function checkAccess ({ host, apiKeys, adminKeys, apiKeysFile }: Config): Finding {
  const hasKeys = apiKeys.length > 0 || adminKeys.length > 0 || apiKeysFile !== ''
  if (hasKeys) return ok('access', 'API keys are required')
  return isLoopback(host)
    ? ok('access', 'this machine only; no API keys')
    : warning('access', `whoever reaches ${host} may use the server: there are no API keys`,
      'set FAIRLEAD_API_KEYS or --api-keys-file')
}

const describeDevice = ({ id, name, kind, memoryBytes }: DeviceFacts): string =>
  `${id}: ${name}, ${kind}${memoryBytes === null ? '' : `, ${gibibytes(memoryBytes)}`}`

/** What models would run on. A device that is asked for by name is opened, and its arithmetic tested. */
async function checkDevice (config: Config): Promise<Finding> {
  const check = 'device'
  if (config.device === 'cpu' || config.device === 'auto') {
    const { found: [about], passedOver } = findDevices(config)
    if (!about) return ok(check, `the processor (${passedOver.join('; ')})`)
    return ok(check, config.device === 'auto' ? describeDevice(about) : `the processor; there is ${describeDevice(about)}`)
  }
  try {
    const open = await chooseDevice(config, () => {})
    const wrong = await testArithmetic(open!.device, testedHeads, testedKinds)
    await open!.device.close()
    return wrong.length === 0
      ? ok(check, describeDevice(open!.about))
      : problem(check, `${open!.about.name} fails the self-test: ${wrong.join('; ')}`, 'set --device to cpu')
  } catch (error) {
    return problem(check, messageOf(error), 'see docs/devices.md')
  }
}

/** The store that replicas share, and the rewards in it and in folders. */
async function checkRewards (config: Config): Promise<Finding> {
  const { rewardsDir, remoteScorers } = config
  const { kept, close } = openRewards(config)
  try {
    const { families } = await RewardStore.open({
      fixed: [join(packageRoot, 'models', 'rewards'), ...(rewardsDir === '' ? [] : [rewardsDir])],
      kept,
      remotes: { origins: parseOrigins(remoteScorers), secret }
    })
    return ok('rewards', families.map(({ name }) => name).join(', '))
  } catch (error) {
    return error instanceof RequestError && error.code === 'store_unavailable'
      ? problem('store', messageOf(error), 'start the database, or correct --store')
      : problem('rewards', messageOf(error), 'correct the file, or take it out of the directory')
  } finally {
    await close()
  }
}

/** Any answer will do: what a scorer answers is known only when a reward asks it. */
async function checkScorer (origin: string): Promise<Finding> {
  const check = `scorer ${origin}`
  try {
    const { status } = await fetch(origin, { signal: AbortSignal.timeout(reachableMs), redirect: 'manual' })
    return ok(check, `answers (status ${status})`)
  } catch (error) {
    const { cause } = error as { cause?: unknown }
    return warning(check, `does not answer: ${messageOf(cause ?? error)}`,
      'start it, or take it out of --remote-scorers; rewards that call it fail until then')
  }
}

/**
 * @param config as `fairlead serve` would have it
 * @throws RequestError for settings that name things wrongly
 */
export async function checkEnvironment (config: Config): Promise<Finding[]> {
  const models = servedModelNames(config)
  const [origins, folders] = [parseOrigins(config.remoteScorers),
    [['cache-dir', config.cacheDir], ['data-dir', config.dataDir]] as const]
  const found = await Promise.all([
    checkDevice(config),
    checkMemory(config, models.length),
    ...folders.map(([setting, folder]) => checkFolder(setting, folder)),
    ...models.map(named => named.remote ? checkEngine(config, named) : checkModel(named, config.cacheDir)),
    checkRewards(config),
    ...origins.map(checkScorer),
    checkPort(config),
    checkAccess(config)
  ])
  return found.flat()
}
