/** Everything that runs requests, in one thread: model, engine, rewards. In the server it lives in a Worker; commands that fit or measure use it directly. */
import { dirname, join } from 'node:path'
import { secret, type Config } from '../config.js'
import { Cores } from '../engine/cores.js'
import { Engine } from '../engine/engine.js'
import { RequestError } from '../errors.js'
import { Grammars } from '../grammar/grammars.js'
import { vocabularyOf } from '../grammar/vocabulary.js'
import { loadModel, type LoadedModel, type ModelOptions } from '../models/model.js'
import type { WeightFormat } from '../models/weight-format.js'
import { packageRoot } from '../package-root.js'
import type { RewardFamily } from '../rewards/descriptor.js'
import { policyInfo, readablePolicy, type ReadablePolicy } from '../rewards/policy.js'
import { parseOrigins } from '../rewards/remote.js'
import { misfit } from '../rewards/resolve.js'
import { RewardModels } from '../rewards/reward-models.js'
import { RewardStore } from '../rewards/store.js'
import { loadContrastModels, type ContrastModels } from './contrast-models.js'

export interface Host {
  readonly config: Config
  readonly model: LoadedModel
  readonly engine: Engine
  /** What answers can be held to. */
  readonly grammars: Grammars
  /** The model as texts are read through it. */
  readonly policy: ReadablePolicy
  /** Models that guidance can set beside the policy. */
  readonly contrastModels: ContrastModels
  readonly store: RewardStore
  readonly rewardModels: RewardModels
  /** All there are at this moment, those too that do not fit the model: naming one gives an error that says why. */
  readonly rewards: readonly RewardFamily[]
  /**
   * Loads the models that some rewards bring and that were not loaded yet. Names of none are passed over.
   * @throws RequestError naming the descriptor's file
   */
  readyRewards (named: ReadonlyArray<{ readonly name: string }>): Promise<void>
  /** Ends every sequence and frees all memory, after the step in flight. */
  close (): Promise<void>
}

/** Rewards in the box. */
const boxFolder = join(packageRoot, 'models', 'rewards')

/** Loads the models that rewards bring. @throws RequestError naming the descriptor's file */
async function loadRewardModels (rewards: readonly RewardFamily[], models: RewardModels): Promise<void> {
  for (const { file, source } of rewards) {
    await source.load?.(models).catch((error: unknown) => {
      throw error instanceof RequestError ? new RequestError(error.code === 'unavailable' ? error.code : 'invalid_request', `reward ${file}: ${error.message}`, { cause: error }) : error
    })
  }
}

/** Loads what the settings name. @param onProgress told what is happening, in words */
export async function createHost (config: Config, onProgress: (message: string) => void, more: Pick<ModelOptions, 'profilePrefix'> = {}): Promise<Host> {
  const store = await RewardStore.open({
    fixed: [boxFolder, ...(config.rewardsDir === '' ? [] : [config.rewardsDir])],
    kept: join(config.dataDir, 'rewards'),
    remotes: { origins: parseOrigins(config.remoteScorers), secret }
  })
  const model = await loadModel({ model: config.model, format: config.format as WeightFormat, threads: config.threads, cacheDir: config.cacheDir, contextLength: config.contextLength, sharesPrompts: config.sharedPrompts === 'on', onProgress, ...more })
  if (model.config.scoreHead) {
    model.dispose()
    throw new RequestError('invalid_request', `model ${model.id} scores texts and cannot write them: it has a score head in place of a language model's`, { param: 'model' })
  }
  const cores = new Cores()
  const engine = new Engine(model, {
    cores,
    contextLength: model.contextLength,
    maxSequences: config.maxSequences,
    kvCacheBytes: config.kvCacheBytes,
    prefixCacheBytes: config.prefixCacheBytes,
    prefillTokensPerStep: config.prefillTokensPerStep,
    maxQueued: config.maxQueuedRequests
  })
  const rewardModels = new RewardModels({ policy: { model, engine }, cores, threads: config.threads, cacheDir: config.cacheDir, kvCacheBytes: config.rewardKvCacheBytes, prefillTokensPerStep: config.prefillTokensPerStep, maxQueued: config.maxQueuedRequests, onProgress })
  const grammars = new Grammars(vocabularyOf(model.tokenizer))
  const close = async (): Promise<void> => {
    await grammars.close()
    await engine.close()
    await rewardModels.close()
    model.dispose()
  }
  let contrastModels: ContrastModels
  try {
    // Those in the box may never be asked for: they are loaded when they are.
    await loadRewardModels(store.families.filter(({ file }) => dirname(file) !== boxFolder), rewardModels)
    contrastModels = await loadContrastModels(config.contrastModels, rewardModels, model, config.format as WeightFormat)
  } catch (error) {
    await close()
    throw error
  }
  for (const family of store.families) {
    const problem = misfit(family, policyInfo(model))
    if (problem !== null) onProgress(problem)
  }
  return {
    config,
    model,
    engine,
    grammars,
    policy: readablePolicy(model, engine),
    contrastModels,
    store,
    rewardModels,
    get rewards () { return store.families },
    readyRewards: named => loadRewardModels(store.families.filter(({ name }) => named.some(one => one.name === name)), rewardModels),
    close
  }
}
