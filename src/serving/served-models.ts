/**
 * Everything that runs requests, in one thread: the models that are served, and the rewards that they share. In the
 * server it lives in a Worker; commands that fit or measure use it directly.
 */
import { dirname, join } from 'node:path'
import { secret } from '../config.js'
import { ComputeLock } from '../engine/compute-lock.js'
import type { ModelRuntime } from '../engine/model-runtime.js'
import { RequestError } from '../errors.js'
import { Grammars } from '../grammar/grammars.js'
import { vocabularyOf } from '../grammar/vocabulary.js'
import type { ModelFacts, ModelOptions, TextModel } from '../models/model.js'
import type { DeviceFormat } from '../models/quantization/weight-format.js'
import { packageRoot } from '../package-root.js'
import { localCapabilities } from '../policies/local/local-policy.js'
import type { PolicyCapabilities } from '../policies/policy.js'
import type { RewardFamily } from '../rewards/descriptor.js'
import { parseOrigins } from '../rewards/kinds/remote.js'
import { remoteCapabilities } from '../policies/remote/remote-policy.js'
import { policyInfo, remotePolicyInfo, type PolicyInfo } from '../rewards/readable-policy.js'
import { incompatibility } from '../rewards/resolve-scorer.js'
import { RewardStore } from '../rewards/reward-store.js'
import type { OpenDevice } from '../runtime/device-facts.js'
import { chooseDevice } from '../runtime/open-device.js'
import { openRewards } from '../stores/open-store.js'
import type { Config } from '../settings.js'
import { loadContrastModels, ofVocabulary, type ContrastModels } from './contrast-models.js'
import type { RemoteRuntime } from './load-remote.js'
import {
  givenTemplate, moreModels, policySetting, servedModelNames, unknownModel, type NamedModel
} from './model-names.js'
import { ModelPool } from './model-pool.js'
import { loadRuntime } from './load-runtime.js'
import { ModelDevice } from './model-device.js'
import { Prompts } from './prompts.js'

/** What all served models have: what their answers can be steered by and set beside. */
interface Served {
  /** What its policy backend can do. */
  readonly capabilities: PolicyCapabilities
  readonly config: Config
  /** Reads callers' texts. */
  readonly prompts: Prompts
  /** Models that guidance can set beside this one. */
  readonly contrastModels: ContrastModels
  readonly store: RewardStore
  /** All in the store at this moment, those too that do not fit the model: naming one gives an error that says why. */
  readonly rewards: readonly RewardFamily[]
  /**
   * Loads the models that some rewards bring and that were not loaded yet. Names of none are passed over.
   * @throws RequestError naming the descriptor's file
   */
  loadRewards (named: ReadonlyArray<{ readonly name: string }>): Promise<void>
}

/** A model of this process, with what its answers can be held to. */
export interface LocalModel extends ModelRuntime, Served {
  readonly grammars: Grammars
  readonly remote: null
}

/** A model on an inference engine elsewhere. */
export interface RemoteModel extends RemoteRuntime, Served {}

/** A model that requests name. */
export type ServedModel = LocalModel | RemoteModel

/**
 * A model that runs in this process.
 * @param param the caller's field that asks for it
 * @param what it takes, for the error
 * @throws RequestError for one that another server runs
 */
export function localOf (served: ServedModel, param: string, what: string): LocalModel {
  if (served.remote === null) return served
  throw new RequestError('invalid_request',
    `${param} needs ${what}, which the engine of the model ${served.model.id} does not offer`, { param })
}

/** A served model as rewards see it. */
export const policyOf = (served: ServedModel): PolicyInfo =>
  served.remote === null ? policyInfo(served.model) : remotePolicyInfo(served.model, served.remote.heads?.all)

/** Receives progress messages. */
type OnProgress = (message: string) => void

/** How models are loaded beside what the settings say. */
interface LoadOptions extends Pick<ModelOptions, 'profilePrefix'> {
  /** Opens the device that they run on; null: the processor. Default: what the settings say. */
  readonly openDevice?: () => Promise<OpenDevice | null>
}

/** What models are run by. */
interface Compute { readonly computeLock: ComputeLock, readonly device: ModelDevice | null }

/** Built-in rewards. */
const builtInFolder = join(packageRoot, 'models', 'rewards')

/** Loads the models that rewards bring. @throws RequestError naming the descriptor's file */
async function loadRewardModels (rewards: readonly RewardFamily[], pool: ModelPool): Promise<void> {
  for (const { file, source } of rewards) {
    await source.load?.(pool).catch((error: unknown) => {
      throw error instanceof RequestError
        ? new RequestError(error.code === 'unavailable' ? error.code : 'invalid_request',
          `reward ${file}: ${error.message}`, { cause: error })
        : error
    })
  }
}

function checkWrites ({ id, config }: ModelFacts): void {
  if (config.scoreHead) {
    throw new RequestError('invalid_request', `model ${id} scores texts and cannot write them: it has a score ` +
      "head in place of a language model's", { param: 'model' })
  }
}

/** @throws RequestError for one that scores in place of writing, and for a context that there is no memory for */
async function loadLocal (
  config: Config, compute: Compute, { name, model }: NamedModel, onProgress: OnProgress, options: LoadOptions
): Promise<Running> {
  const template = await givenTemplate(config, name)
  const runtime = await loadRuntime({
    id: name,
    model,
    ...(template === undefined ? {} : { template }),
    format: config.format as DeviceFormat,
    threads: config.threads,
    cacheDir: config.cacheDir,
    contextLength: config.contextLength,
    sharesPrompts: config.sharedPrompts === 'on',
    onProgress,
    ...options
  }, {
    ...compute,
    maxSequences: config.maxSequences,
    kvCacheBytes: config.kvCacheBytes,
    prefixCacheBytes: config.prefixCacheBytes,
    prefillTokensPerStep: config.prefillTokensPerStep,
    maxQueued: config.maxQueuedRequests
  }, checkWrites)
  return { ...runtime, remote: null, grammars: new Grammars(vocabularyOf(runtime.model.tokenizer)) }
}

/** What is wrong with a model of the setting that names several, with its name. */
function namingModel (name: string, error: unknown): unknown {
  return error instanceof RequestError
    ? new RequestError(error.code, `${moreModels}: ${name}: ${error.message}`, { param: moreModels, cause: error })
    : error
}

/** Says which rewards fit none of the models. */
function reportMisfits (
  rewards: readonly RewardFamily[], models: readonly ServedModel[], onProgress: OnProgress
): void {
  for (const family of rewards) {
    const problems = models.map(served => incompatibility(family, policyOf(served)))
    if (!problems.includes(null)) for (const problem of problems) onProgress(problem!)
  }
}

/** What runs a model. */
type Running = (ModelRuntime & Pick<LocalModel, 'grammars' | 'remote'>) | RemoteRuntime

/** All models of a thread, and what they share. */
export class ServedModels {
  readonly store: RewardStore
  /** Models of rewards, and contrast models. */
  readonly pool: ModelPool
  readonly #device: ModelDevice | null
  /** Those that must be closed, whatever is loaded after them. */
  readonly #running: Running[] = []
  readonly #closeStore: () => Promise<void>
  #all: readonly ServedModel[] = []
  #prompts: Prompts | null = null

  private constructor (
    store: RewardStore, pool: ModelPool, device: ModelDevice | null, closeStore: () => Promise<void>
  ) {
    this.store = store
    this.pool = pool
    this.#device = device
    this.#closeStore = closeStore
  }

  /**
   * Loads all models that the settings name.
   * @throws RequestError for what cannot be loaded
   */
  static async load (config: Config, onProgress: OnProgress, options: LoadOptions = {}): Promise<ServedModels> {
    const { kept, close } = openRewards(config)
    const store = await RewardStore.open({
      fixed: [builtInFolder, ...(config.rewardsDir === '' ? [] : [config.rewardsDir])],
      kept,
      remotes: { origins: parseOrigins(config.remoteScorers), secret },
      onProblem: onProgress
    }).catch(async (error: unknown) => {
      await close()
      throw error
    })
    const { openDevice, ...modelOptions } = options
    const device =
      await ModelDevice.open(openDevice ?? (() => chooseDevice(config, onProgress))).catch(async (error: unknown) => {
        await close()
        throw error
      })
    const compute = { computeLock: new ComputeLock(), device }
    const models = new ServedModels(store, new ModelPool(config, compute, onProgress), device, close)
    try {
      await models.#load(config, async ({ remote, ...named }) => remote
        ? (await import('./load-remote.js')).loadRemote(config, { ...named, remote }, onProgress)
        : loadLocal(config, compute, { ...named, remote }, onProgress, modelOptions))
    } catch (error) {
      await models.close()
      throw error
    }
    reportMisfits(store.families, models.all, onProgress)
    return models
  }

  /** The default first. */
  get all (): readonly ServedModel[] { return this.#all }

  /** @throws RequestError model_not_found, listing what there is */
  find (name: string): ServedModel {
    const found = this.#all.find(({ model }) => model.id === name)
    if (!found) throw unknownModel(name, this.#all.map(({ model }) => model.id))
    return found
  }

  /** Ends every sequence and frees all memory, after the steps in flight. */
  async close (): Promise<void> {
    await this.#prompts?.close()
    for (const running of this.#running) {
      if (running.remote) await running.remote.close()
      else {
        await running.grammars.close()
        await running.engine.close()
      }
    }
    await this.pool.close()
    for (const running of this.#running) if (!running.remote) await running.model.dispose()
    await this.#device?.close()
    await this.#closeStore()
  }

  async #load (config: Config, load: (named: NamedModel) => Promise<Running>): Promise<void> {
    const { store, pool } = this
    for (const [index, named] of servedModelNames(config).entries()) {
      this.#running.push(
        await load(named).catch((error: unknown) => { throw index === 0 ? error : namingModel(named.name, error) }))
    }
    // Built-in ones may never be asked for: they are loaded when they are.
    await loadRewardModels(store.families.filter(({ file }) => dirname(file) !== builtInFolder), pool)
    const contrastModels = await loadContrastModels(config.contrastModels, pool,
      this.#running.map(({ model }) => model), config.format as DeviceFormat)
    const readers: TextModel[] = [...this.#running, ...contrastModels.values()].map(({ model }) => model)
    const prompts = this.#prompts = new Prompts(readers)
    this.#all = this.#running.map(running => ({
      ...running,
      prompts,
      capabilities: running.remote
        ? remoteCapabilities(running.remote.report)
        : localCapabilities(running.model.config.layers),
      config,
      store,
      contrastModels: ofVocabulary(contrastModels, running.model),
      get rewards () { return store.families },
      loadRewards: named =>
        loadRewardModels(store.families.filter(({ name }) => named.some(one => one.name === name)), pool)
    }))
  }
}

/**
 * Loads the default model alone, for commands that run it in this process. Closing it frees all memory.
 * @throws RequestError for one that another server runs
 */
export async function loadServedModel (
  config: Config, onProgress: OnProgress, options: LoadOptions = {}
): Promise<LocalModel & Pick<ServedModels, 'close'>> {
  if (config.policy.length > 0) {
    throw new RequestError('invalid_request', `${policySetting} cannot be given: this command runs the model itself`,
      { param: policySetting })
  }
  const models = await ServedModels.load({ ...config, moreModels: [] }, onProgress, options)
  return Object.assign(models.all[0] as LocalModel, { close: () => models.close() })
}
