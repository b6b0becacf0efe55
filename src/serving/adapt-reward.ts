/** A user's own reward from a decomposed one, kept like one that was fitted; and which pairs to label next. */
import { join } from 'node:path'
import { adaptReward, suggestFor } from '../fitting/adapt-reward.js'
import { findFamily } from '../rewards/resolve-scorer.js'
import type { RewardFamily } from '../rewards/descriptor.js'
import type { Host } from './model-runtime.js'
import type { AdaptRequest, Suggested, SuggestRequest } from './protocol.js'

/** @throws RequestError for a reward that is not there or does not fit the model */
const familyOf = (host: Host, name: string): RewardFamily => findFamily(host.rewards, name, host.policy, 'id')

const readOptions = (
  host: Host, signal: AbortSignal
) => ({ policy: host.policy, cacheDirectory: join(host.config.cacheDir, 'features'), signal })

/** @throws RequestError; storage_failed */
export async function adapt (
  host: Host, { model: _model, reward, replace, ...choices }: AdaptRequest, signal: AbortSignal
): Promise<RewardFamily> {
  host.store.checkFree(choices.name, replace)
  const descriptor = await adaptReward(familyOf(host, reward), choices, readOptions(host, signal))
  signal.throwIfAborted()
  return await host.store.save(descriptor)
}

/** @throws RequestError */
export async function suggest (
  host: Host, { reward, candidates, labelled, count }: SuggestRequest, signal: AbortSignal
): Promise<Suggested> {
  return await suggestFor(familyOf(host, reward), candidates, labelled, count, readOptions(host, signal))
}
