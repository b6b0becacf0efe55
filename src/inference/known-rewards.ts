/** What is told of the rewards that a thread has. */
import type { RewardFamily } from '../rewards/descriptor.js'
import { rewardInfo, type RewardInfo } from '../rewards/info.js'
import { misfit } from '../rewards/resolve.js'
import type { Hosts } from './host.js'

/** What is told of one. */
export function infoOf ({ store }: Hosts, family: RewardFamily): RewardInfo {
  return rewardInfo(family, store.isKept(family))
}

/** What is told of those that fit a model. */
export function usableRewards (hosts: Hosts): RewardInfo[] {
  return hosts.store.families.filter(family => hosts.all.some(({ policy }) => misfit(family, policy) === null)).map(family => infoOf(hosts, family))
}
