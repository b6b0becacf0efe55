/** What the inference thread reports of its models, their engines and its rewards. */
import type { RewardFamily } from '../rewards/descriptor.js'
import { incompatibility } from '../rewards/resolve-scorer.js'
import { rewardInfo, type RewardInfo } from '../rewards/reward-info.js'
import type { EngineStats, RemoteStats, Stats } from './calls.js'
import type { ModelInfo } from './protocol.js'
import { policyOf, type LocalModel, type RemoteModel, type ServedModel, type ServedModels } from './served-models.js'

export function modelInfo (served: ServedModel): ModelInfo {
  const { id, contextLength, tokenizer, fingerprint, created, chatTemplate: { callForm } } = served.model
  return {
    id,
    contextLength,
    vocabularySize: tokenizer.vocabularySize,
    fingerprint,
    operators: served.remote === null ? served.model.operators : null,
    engine: served.remote?.report ?? null,
    created,
    callForm
  }
}

export function infoOf ({ all, store }: ServedModels, family: RewardFamily): RewardInfo {
  const models = all.filter(served => incompatibility(family, policyOf(served)) === null)
  return rewardInfo(family, { models: models.map(({ model: { id } }) => id), deletable: store.isKept(family) })
}

/** The rewards that fit a model. */
export function usableRewards (models: ServedModels): RewardInfo[] {
  return models.store.families.map(family => infoOf(models, family)).filter(info => info.models.length > 0)
}

function engineStats ({ engine, kvBudget, model: { id } }: LocalModel): EngineStats {
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

/** Asks the replicas whether they are well. */
async function remoteStats ({ remote, kvBudget, model: { id } }: RemoteModel): Promise<RemoteStats> {
  const well = await remote.well()
  return {
    model: id,
    waitingRequests: kvBudget.waiting,
    runningRequests: kvBudget.running,
    replicas: remote.replicas.all.map(replica =>
      ({ url: replica.url, isWell: well.includes(replica), calls: replica.inFlight, ...replica.counters }))
  }
}

export async function stats ({ all, pool }: ServedModels): Promise<Stats> {
  const engines = await Promise.all(all.map(served => served.remote ? remoteStats(served) : engineStats(served)))
  return { engines, rewardModels: pool.stats() }
}
