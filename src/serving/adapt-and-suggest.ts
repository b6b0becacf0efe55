/** A user's own reward from a decomposed one, kept like one that was fitted; and which pairs to label next. */
import { join } from 'node:path'
import { adaptReward, suggestFor, type ReadOptions } from '../fitting/adapt-reward.js'
import { findFamily } from '../rewards/resolve-scorer.js'
import type { RewardFamily } from '../rewards/descriptor.js'
import { policyInfo, readablePolicy } from '../rewards/readable-policy.js'
import type { AdaptRequest, Suggested, SuggestRequest } from './calls.js'
import type { ServedModel } from './served-models.js'

/** @throws RequestError for a reward that is not there or does not fit the model */
const familyOf = ({ rewards, model }: ServedModel, name: string): RewardFamily =>
  findFamily(rewards, name, policyInfo(model), 'id')

/** How fits read answers through a model. */
export const readOptions = (
  served: ServedModel, caller: string, signal: AbortSignal
): ReadOptions & { readonly signal: AbortSignal } =>
  ({ policy: readablePolicy(served, caller), cacheDirectory: join(served.config.cacheDir, 'features'), signal })

/** @throws RequestError; storage_failed */
export async function adapt (
  served: ServedModel, { model: _model, reward, replace, caller = '', ...choices }: AdaptRequest, signal: AbortSignal
): Promise<RewardFamily> {
  served.store.checkFree(choices.name, replace)
  const descriptor = await adaptReward(familyOf(served, reward), choices, readOptions(served, caller, signal))
  signal.throwIfAborted()
  return await served.store.save(descriptor, replace)
}

/** @throws RequestError */
export async function suggest (
  served: ServedModel, { reward, candidates, labelled, count, caller = '' }: SuggestRequest, signal: AbortSignal
): Promise<Suggested> {
  return await suggestFor(familyOf(served, reward), candidates, labelled, count, readOptions(served, caller, signal))
}
