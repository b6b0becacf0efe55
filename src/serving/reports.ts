/** What the inference thread reports of its models, their engines and its rewards. */
import type { RewardFamily } from '../rewards/descriptor.js'
import { policyInfo } from '../rewards/readable-policy.js'
import { incompatibility } from '../rewards/resolve-scorer.js'
import { rewardInfo, type RewardInfo } from '../rewards/reward-info.js'
import type { EngineStats, Stats } from './calls.js'
import type { ModelInfo } from './protocol.js'
import type { ServedModel, ServedModels } from './served-models.js'

export function modelInfo ({ model }: ServedModel): ModelInfo {
  const { id, contextLength, tokenizer, fingerprint, operators, created, chatTemplate: { callForm } } = model
  return { id, contextLength, vocabularySize: tokenizer.vocabularySize, fingerprint, operators, created, callForm }
}

export function infoOf ({ all, store }: ServedModels, family: RewardFamily): RewardInfo {
  const models = all.map(({ model }) => model).filter(model => incompatibility(family, policyInfo(model)) === null)
  return rewardInfo(family, { models: models.map(({ id }) => id), deletable: store.isKept(family) })
}

/** The rewards that fit a model. */
export function usableRewards (models: ServedModels): RewardInfo[] {
  return models.store.families.map(family => infoOf(models, family)).filter(info => info.models.length > 0)
}

function engineStats ({ engine, kvBudget, model: { id } }: ServedModel): EngineStats {
  const { steps, runs, decodeRows, paddingRows, prefillTokens, probedTokens } = engine.counters
  return {
    model: id,
    ...engine.stats(),
    waitingRequests: kvBudget.waiting,
    runningRequests: kvBudget.running,
    steps,
    runs,
    decodeRows: decodeRows - paddingRows,
    prefillRows: prefillTokens,
    probedRows: probedTokens
  }
}

export function stats ({ all, pool }: ServedModels): Stats {
  return { engines: all.map(engineStats), rewardModels: pool.stats() }
}
