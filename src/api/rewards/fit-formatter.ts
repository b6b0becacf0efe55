/** A fit as its caller sees it: how far it is, one event a percent, and at last the reward. */
import { EventQueue } from '../../decoding/event-queue.js'
import type { FitRequest, FittingProgress } from '../../serving/calls.js'
import type { RewardInfo } from '../../rewards/reward-info.js'
import { ChunkFormatter } from '../transport/formatter.js'
import type { RewardCard } from './reward-types.js'
import { rewardCard } from './score-formatter.js'
import type { Inference } from '../../serving/inference-client.js'

/** What a fit says: how far it is, and at last the reward. */
export type FitEvent =
  | { readonly type: 'progress', readonly progress: FittingProgress }
  | { readonly type: 'reward', readonly reward: RewardInfo }

/** Fits. Aborting the signal cancels. @throws RequestError */
export async function * fitEvents (
  inference: Inference, request: FitRequest, signal: AbortSignal
): AsyncGenerator<FitEvent, void, undefined> {
  const events = new EventQueue<FitEvent>()
  const onProgress = (progress: FittingProgress): void => { events.push({ type: 'progress', progress }) }
  events.endWith(inference.call('fit', request, { signal, onProgress })
    .then(reward => { events.push({ type: 'reward', reward }) }))
  yield * events
}

/** Turns a fit's events into what is sent: chunks as they come, or the reward alone. */
export class FitFormatter extends ChunkFormatter<FitEvent> {
  #reward: RewardInfo | null = null
  #lastPercent = ''

  see (event: FitEvent): void {
    if (event.type === 'reward') this.#reward = event.reward
  }

  completion (): RewardCard { return rewardCard(this.#reward!) }

  chunks (event: FitEvent): object[] {
    this.see(event)
    if (event.type === 'reward') return [this.completion()]
    const { phase, done, total } = event.progress
    const percent = `${phase} ${Math.floor(100 * done / total)}`
    if (percent === this.#lastPercent) return []
    this.#lastPercent = percent
    return [{ object: 'reward.fit.progress', phase, done, total }]
  }
}
