/** A reward as the API shows it: what it is and how far to trust it, without weights, phrases and addresses. */
import type { Adaptation, Members, RewardFit, RewardMetrics } from './descriptor-parts.js'
import type { RewardFamily } from './descriptor.js'
import type { QHead } from './kinds/q-head.js'
import type { RewardMember } from './scorer.js'

/** A reward as `GET /v1/rewards` shows it. */
export interface RewardInfo {
  readonly name: string
  readonly description: string
  readonly kind: string
  readonly members: readonly RewardMember[]
  readonly version: string
  /** Names of the models whose answers it can score: a head fits those with hidden states like its own model's. */
  readonly models: readonly string[]
  /** Whether it was added to the server and can be deleted there. */
  readonly deletable: boolean
  /** Statistics that its members are standardised with, where the descriptor brings them. */
  readonly statistics: Members | null
  readonly fit: RewardFit | null
  readonly metrics: RewardMetrics | null
  /** What its next-token member was fitted on, and how well it predicts; null where there is none. */
  readonly nextToken: Pick<QHead, 'fit' | 'metrics'> | null
  /** Where a user's reward came from. */
  readonly adaptation: Adaptation | null
}

function nextTokenInfo (descriptor: RewardFamily['descriptor']): RewardInfo['nextToken'] {
  if (!('nextToken' in descriptor) || !descriptor.nextToken) return null
  const { fit, metrics } = descriptor.nextToken
  return { fit, metrics }
}

/** A family as the API shows it. */
export function rewardInfo (
  { name, description, members, version, descriptor }: RewardFamily,
  { models, deletable }: Pick<RewardInfo, 'models' | 'deletable'>
): RewardInfo {
  return {
    name,
    description,
    kind: descriptor.kind,
    members,
    version,
    models,
    deletable,
    statistics: descriptor.members ?? null,
    fit: ('fit' in descriptor && descriptor.fit) || null,
    metrics: ('metrics' in descriptor && descriptor.metrics) || null,
    nextToken: nextTokenInfo(descriptor),
    adaptation: ('adaptation' in descriptor && descriptor.adaptation) || null
  }
}
