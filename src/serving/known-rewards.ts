/** What is told of the rewards that a thread has. */
import type { RewardFamily } from '../rewards/descriptor.js'
import { rewardInfo, type RewardInfo } from '../rewards/reward-info.js'
import { incompatibility } from '../rewards/resolve-scorer.js'
import type { Hosts } from './model-runtime.js'

/** What is told of one. */
export function infoOf ({ all, store }: Hosts, family: RewardFamily): RewardInfo {
  const models = all.filter(({ policy }) => incompatibility(family, policy) === null).map(({ model }) => model.id)
  return rewardInfo(family, { models, deletable: store.isKept(family) })
}

/** What is told of those that fit a model. */
export function usableRewards (hosts: Hosts): RewardInfo[] {
  return hosts.store.families.map(family => infoOf(hosts, family)).filter(({ models }) => models.length > 0)
}
