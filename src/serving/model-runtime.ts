/**
 * Everything that runs requests, in one thread: the models that are served, each with an engine of its own, and the
 * rewards that they share. In the server it lives in a Worker; commands that fit or measure use it directly.
 */
import { dirname, join } from 'node:path'
import { secret } from '../config.js'
import type { Config } from '../settings.js'
import { ComputeLock } from '../engine/compute-lock.js'
import { Engine } from '../engine/engine.js'
import { RequestError } from '../errors.js'
import { Grammars } from '../grammar/grammars.js'
import { vocabularyOf } from '../grammar/vocabulary.js'
import { loadModel, type LoadedModel, type ModelOptions } from '../models/model.js'
import type { WeightFormat } from '../models/quantization/weight-format.js'
import { packageRoot } from '../package-root.js'
import type { RewardFamily } from '../rewards/descriptor.js'
import { policyInfo, readablePolicy, type ReadablePolicy } from '../rewards/readable-policy.js'
import { parseOrigins } from '../rewards/kinds/remote.js'
import { incompatibility } from '../rewards/resolve-scorer.js'
import { RewardModels, type RewardModel } from '../rewards/reward-models.js'
import { RewardStore } from '../rewards/reward-store.js'
import { loadContrastModels, ofVocabulary, type ContrastModels } from './contrast-models.js'
import { moreModels, servedModels } from './served-models.js'
import { unknownModel } from './unknown-model.js'

/** What all models have in common. */
interface Shared {
  readonly config: Config
  readonly store: RewardStore
  readonly rewardModels: RewardModels
}

/** A model, what runs it, and what its answers can be held to. */
interface Running {
  readonly model: LoadedModel
  readonly engine: Engine
  readonly grammars: Grammars
}

/** What runs the requests to one model. */
export interface Host extends Shared, Running {
  /** The model as texts are read through it. */
  readonly policy: ReadablePolicy
  /** The model as rewards read answers through it once more. */
  readonly reader: RewardModel
  /** Models that guidance can set beside this one. */
  readonly contrastModels: ContrastModels
  /** All there are at this moment, those too that do not fit the model: naming one gives an error that says why. */
  readonly rewards: readonly RewardFamily[]
  /**
   * Loads the models that some rewards bring and that were not loaded yet. Names of none are passed over.
   * @throws RequestError naming the descriptor's file
   */
  readyRewards (named: ReadonlyArray<{ readonly name: string }>): Promise<void>
  /** Ends every sequence and frees all memory, that of other models too, after the steps in flight. */
  close (): Promise<void>
}

/** What runs the requests to all models of a thread. */
export interface Hosts extends Shared {
  /** The default first. */
  readonly all: readonly Host[]
  /** The one of a model. @throws RequestError model_not_found, listing what there is */
  find (name: string): Host
  /** Ends every sequence and frees all memory, after the steps in flight. */
  close (): Promise<void>
}

/** Told what is happening, in words. */
type OnProgress = (message: string) => void

/** Rewards in the box. */
const boxFolder = join(packageRoot, 'models', 'rewards')

/** Loads the models that rewards bring. @throws RequestError naming the descriptor's file */
async function loadRewardModels (rewards: readonly RewardFamily[], models: RewardModels): Promise<void> {
  for (const { file, source } of rewards) {
    await source.load?.(models).catch((error: unknown) => {
      throw error instanceof RequestError
        ? new RequestError(error.code === 'unavailable' ? error.code : 'invalid_request',
          `reward ${file}: ${error.message}`, { cause: error })
        : error
    })
  }
}

/**
 * Loads a model and sets an engine up for it.
 * @throws RequestError for one that scores in place of writing, and for a context that there is no memory for
 */
async function runModel (
  config: Config, computeLock: ComputeLock, options: Pick<ModelOptions, 'id' | 'model' | 'onProgress' | 'profilePrefix'>
): Promise<Running> {
  const model = await loadModel({
    format: config.format as WeightFormat,
    threads: config.threads,
    cacheDir: config.cacheDir,
    contextLength: config.contextLength,
    sharesPrompts: config.sharedPrompts === 'on',
    ...options
  })
  if (model.config.scoreHead) {
    model.dispose()
    throw new RequestError('invalid_request', `model ${model.id} scores texts and cannot write them: it has a score ` +
      "head in place of a language model's", { param: 'model' })
  }
  try {
    const engine = new Engine(model, {
      computeLock,
      contextLength: model.contextLength,
      maxSequences: config.maxSequences,
      kvCacheBytes: config.kvCacheBytes,
      prefixCacheBytes: config.prefixCacheBytes,
      prefillTokensPerStep: config.prefillTokensPerStep,
      maxQueued: config.maxQueuedRequests,
      ...(options.onProgress ? { onProblem: options.onProgress } : {})
    })
    return { model, engine, grammars: new Grammars(vocabularyOf(model.tokenizer)) }
  } catch (error) {
    model.dispose()
    throw error instanceof RequestError
      ? new RequestError(error.code, 'context-length must be one that there is memory for; got ' +
        `${model.contextLength}: ${error.message}`, { param: 'contextLength', cause: error })
      : error
  }
}

/** What is wrong with a model of the setting that names several, with its name. */
function namingModel (name: string, error: unknown): unknown {
  return error instanceof RequestError
    ? new RequestError(error.code, `${moreModels}: ${name}: ${error.message}`, { param: moreModels, cause: error })
    : error
}

/** Says which rewards fit none of the models. */
function tellMisfits (rewards: readonly RewardFamily[], running: readonly Running[], onProgress: OnProgress): void {
  for (const family of rewards) {
    const problems = running.map(({ model }) => incompatibility(family, policyInfo(model)))
    if (!problems.includes(null)) for (const problem of problems) onProgress(problem!)
  }
}

function hostOf (
  { config, store, rewardModels }: Shared, { model, engine, grammars }: Running, contrastModels: ContrastModels,
  close: () => Promise<void>
): Host {
  return {
    config,
    store,
    rewardModels,
    model,
    engine,
    grammars,
    policy: readablePolicy(model, engine),
    reader: { model, engine, order: 0 },
    contrastModels,
    get rewards () { return store.families },
    readyRewards: named =>
      loadRewardModels(store.families.filter(({ name }) => named.some(one => one.name === name)), rewardModels),
    close
  }
}

/** Loads all models that the settings name. @param onProgress told what is happening */
export async function createHosts (
  config: Config, onProgress: OnProgress, more: Pick<ModelOptions, 'profilePrefix'> = {}
): Promise<Hosts> {
  const store = await RewardStore.open({
    fixed: [boxFolder, ...(config.rewardsDir === '' ? [] : [config.rewardsDir])],
    kept: join(config.dataDir, 'rewards'),
    remotes: { origins: parseOrigins(config.remoteScorers), secret }
  })
  const computeLock = new ComputeLock()
  const rewardModels = new RewardModels({
    computeLock,
    threads: config.threads,
    cacheDir: config.cacheDir,
    kvCacheBytes: config.rewardKvCacheBytes,
    prefillTokensPerStep: config.prefillTokensPerStep,
    maxQueued: config.maxQueuedRequests,
    onProgress
  })
  const running: Running[] = []
  const close = async (): Promise<void> => {
    for (const { grammars, engine } of running) {
      await grammars.close()
      await engine.close()
    }
    await rewardModels.close()
    for (const { model } of running) model.dispose()
  }
  let contrastModels: ContrastModels
  try {
    for (const [index, { name, model }] of servedModels(config).entries()) {
      running.push(await runModel(config, computeLock, { id: name, model, onProgress, ...more })
        .catch((error: unknown) => { throw index === 0 ? error : namingModel(name, error) }))
    }
    // Those in the box may never be asked for: they are loaded when they are.
    await loadRewardModels(store.families.filter(({ file }) => dirname(file) !== boxFolder), rewardModels)
    contrastModels = await loadContrastModels(config.contrastModels, rewardModels, running.map(({ model }) => model),
      config.format as WeightFormat)
  } catch (error) {
    await close()
    throw error
  }
  tellMisfits(store.families, running, onProgress)
  const all = running.map(one =>
    hostOf({ config, store, rewardModels }, one, ofVocabulary(contrastModels, one.model), close))
  const find = (name: string): Host => {
    const found = all.find(({ model }) => model.id === name)
    if (!found) throw unknownModel(name, all.map(({ model }) => model.id))
    return found
  }
  return { config, store, rewardModels, all, find, close }
}

/** Loads the default model alone. */
export async function createHost (
  config: Config, onProgress: OnProgress, more: Pick<ModelOptions, 'profilePrefix'> = {}
): Promise<Host> {
  return (await createHosts({ ...config, moreModels: [] }, onProgress, more)).all[0]!
}
