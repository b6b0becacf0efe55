/** Scorers as a request of one answer opens them. */
import type { RewardFamily } from '../../src/rewards/descriptor.js'
import type { RequestScope } from '../../src/rewards/reward-kind.js'
import type { PolicyInfo } from '../../src/rewards/readable-policy.js'
import { resolveScorer, type ResolvedScorer, type ScorerRequest } from '../../src/rewards/resolve-scorer.js'

/** A request that never ends, of a policy that nobody reads through. */
export const oneAnswer: RequestScope = {
  width: 1, tokens: 256, reader: null as never, salt: '', signal: new AbortController().signal
}

export const resolveAlone = (
  families: readonly RewardFamily[], request: ScorerRequest, policy: PolicyInfo
): ResolvedScorer => resolveScorer(families, request, policy, oneAnswer)
