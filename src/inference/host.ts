/** Everything that runs requests, in one thread: model, engine, rewards. In the server it lives in a Worker; commands that fit or measure use it directly. */
import { join } from 'node:path'
import type { Config } from '../config.js'
import { Engine } from '../engine/engine.js'
import { RequestError } from '../errors.js'
import { loadModel, type LoadedModel, type ModelOptions } from '../models/model.js'
import type { WeightFormat } from '../models/weight-format.js'
import { packageRoot } from '../package-root.js'
import { loadRewards, type RewardFamily } from '../rewards/descriptor.js'
import { policyInfo } from '../rewards/policy.js'
import { parseOrigins } from '../rewards/remote.js'
import { misfit } from '../rewards/resolve.js'

export interface Host {
  readonly config: Config
  readonly model: LoadedModel
  readonly engine: Engine
  /** All that were found, those too that do not fit the model: naming one gives an error that says why. */
  readonly rewards: readonly RewardFamily[]
  /** Those that fit the model. */
  readonly usableRewards: readonly RewardFamily[]
  /** Ends every sequence and frees all memory, after the step in flight. */
  close (): Promise<void>
}

/** Loads what the settings name. @param onProgress told what is happening, in words */
export async function createHost (config: Config, onProgress: (message: string) => void, more: Pick<ModelOptions, 'profilePrefix'> = {}): Promise<Host> {
  const rewards = await loadRewards([join(packageRoot, 'models', 'rewards'), ...(config.rewardsDir === '' ? [] : [config.rewardsDir])], parseOrigins(config.remoteScorers))
  const model = await loadModel({ model: config.model, format: config.format as WeightFormat, threads: config.threads, cacheDir: config.cacheDir, contextLength: config.contextLength, onProgress, ...more })
  if (model.config.scoreHead) {
    model.dispose()
    throw new RequestError('invalid_request', `model ${model.id} scores texts and cannot write them: it has a score head in place of a language model's`, { param: 'model' })
  }
  const engine = new Engine(model, {
    contextLength: model.contextLength,
    maxSequences: config.maxSequences,
    kvCacheBytes: config.kvCacheBytes,
    prefixCacheBytes: config.prefixCacheBytes,
    prefillTokensPerStep: config.prefillTokensPerStep,
    maxQueued: config.maxQueuedRequests
  })
  const misfits = new Map(rewards.map(family => [family, misfit(family, policyInfo(model))]))
  for (const problem of misfits.values()) if (problem !== null) onProgress(problem)
  const usableRewards = rewards.filter(family => misfits.get(family) === null)
  return { config, model, engine, rewards, usableRewards, close: async () => { await engine.close(); model.dispose() } }
}
