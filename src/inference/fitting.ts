/** Fits rewards while the engine serves: one after the other, each read by the engine beside other requests and fitted in a thread of its own; and deletes them. */
import { setMaxListeners } from 'node:events'
import { join } from 'node:path'
import { fitReward } from '../rewards/fit-reward.js'
import { rewardInfo, type RewardInfo } from '../rewards/info.js'
import { misfit } from '../rewards/resolve.js'
import type { Host } from './host.js'
import { checkModel } from './prompt.js'
import type { FitRequest, FittingProgress } from './protocol.js'

/** When the fit before is done, by host: two would read the same answers twice. */
const last = new WeakMap<Host, Promise<unknown>>()

/** Rewards that fit the model. */
export function usableRewards (host: Host): RewardInfo[] {
  return host.rewards.filter(family => misfit(family, host.policy) === null).map(family => rewardInfo(family, host.store.isKept(family)))
}

/** The signal's reason, as soon as it is aborted. */
function aborted (signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason) }, { once: true }) })
}

async function fitNow (host: Host, { model: _model, replace, ...choices }: FitRequest, signal: AbortSignal, onProgress: (progress: FittingProgress) => void): Promise<RewardInfo> {
  signal.throwIfAborted()
  host.store.checkFree(choices.name, replace)
  const descriptor = await fitReward({ ...choices, policy: host.policy, cacheDirectory: join(host.config.cacheDir, 'features'), onProgress, signal })
  signal.throwIfAborted()
  return rewardInfo(await host.store.save(descriptor), true)
}

/**
 * Fits a reward and keeps it. It can be used as soon as this is answered.
 * @throws RequestError for examples, names and layers that cannot work; storage_failed
 */
export async function fit (host: Host, request: FitRequest, signal: AbortSignal, onProgress: (progress: FittingProgress) => void): Promise<RewardInfo> {
  checkModel(host, request.model)
  host.store.checkFree(request.name, request.replace)
  const before = last.get(host) ?? Promise.resolve()
  // Every sequence of the fit listens.
  setMaxListeners(0, signal)
  onProgress({ phase: 'queued', done: 0, total: 1 })
  const done = before.then(() => fitNow(host, request, signal, onProgress))
  last.set(host, done.catch(() => {}))
  return await Promise.race([done, aborted(signal)])
}

/** @throws RequestError for a reward that is not there or comes with the server; storage_failed */
export async function deleteReward (host: Host, { name }: { readonly name: string }): Promise<null> {
  await host.store.delete(name)
  return null
}
