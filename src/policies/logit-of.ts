/** The logit of one token of a distribution that may be partial. */
import type { Distribution } from '../engine/sequence.js'

/** Listed or not. @throws MissingLogits for one that is not listed, where no others are there */
export function logitOf (distribution: Distribution, token: number): number {
  const rank = distribution.isPartial === true ? distribution.topIds.indexOf(token) : -1
  return rank < 0 ? distribution.logits[token]! : distribution.topLogits[rank]!
}
