/**
 * Fits rewards while the engine serves: one after the other, each read by the engine beside other requests and fitted
 * in a thread of its own.
 */
import { setMaxListeners } from 'node:events'
import type { RewardFamily } from '../rewards/descriptor.js'
import { fitReward } from '../fitting/fit-reward.js'
import type { RewardStore } from '../rewards/reward-store.js'
import { readOptions } from './adapt-and-suggest.js'
import type { FitRequest, FittingProgress } from './calls.js'
import type { ServedModel } from './served-models.js'

/** When the fit before is done, by where it is kept: two would read the same answers twice, and take the same name. */
const last = new WeakMap<RewardStore, Promise<unknown>>()

/** The signal's reason, as soon as it is aborted. */
function aborted (signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => { reject(signal.reason) }, { once: true })
  })
}

async function fitNow (
  served: ServedModel, { model: _model, replace, caller = '', ...choices }: FitRequest, signal: AbortSignal,
  onProgress: (progress: FittingProgress) => void
): Promise<RewardFamily> {
  signal.throwIfAborted()
  served.store.checkFree(choices.name, replace)
  const descriptor = await fitReward({ ...choices, ...readOptions(served, caller, signal), onProgress })
  signal.throwIfAborted()
  return await served.store.save(descriptor, replace)
}

/**
 * Fits a reward and keeps it. It can be used as soon as this is answered.
 * @throws RequestError for examples, names and layers that cannot work; storage_failed
 */
export async function fit (
  served: ServedModel, request: FitRequest, signal: AbortSignal, onProgress: (progress: FittingProgress) => void
): Promise<RewardFamily> {
  served.store.checkFree(request.name, request.replace)
  const before = last.get(served.store) ?? Promise.resolve()
  // Every sequence of the fit listens.
  setMaxListeners(0, signal)
  onProgress({ phase: 'queued', done: 0, total: 1 })
  const done = before.then(() => fitNow(served, request, signal, onProgress))
  last.set(served.store, done.catch(() => {}))
  return await Promise.race([done, aborted(signal)])
}
