/**
 * The common part of rewards that read texts through models: the models are loaded before a member is opened, and no
 * hidden states of the policy are needed.
 */
import type { Members } from './descriptor-parts.js'
import type { MemberScorer, OpenContext, RewardSource } from './reward-kind.js'
import { unreadable } from './readable-policy.js'
import type { RewardModels } from './reward-models.js'
import type { AnswerMember } from './scorer.js'

/** The part of a member that depends on the kind. */
export type TextScorer = Pick<MemberScorer, 'score' | 'demands'>

/** A kind of reward once its models are there. */
export interface LoadedSource {
  /** SHA-256 of each model of its own. */
  readonly hashes: readonly string[]
  open (member: AnswerMember, context: OpenContext): TextScorer
}

/**
 * @param load loads the models; throws RequestError for one that cannot be loaded or does not fit the descriptor
 * @param options.readsPolicy whether the policy is among the models that texts are read through
 */
export function textSource (
  members: Members, load: (models: RewardModels) => Promise<LoadedSource>,
  { readsPolicy = false }: { readonly readsPolicy?: boolean } = {}
): RewardSource {
  let loaded: LoadedSource | null = null
  return {
    members: Object.keys(members) as AnswerMember[],
    incompatibility: policy =>
      readsPolicy && policy.isRemote ? unreadable('probabilities of given texts', policy) : null,
    get modelHashes () { return loaded?.hashes ?? [] },
    async load (models) { loaded = await load(models) },
    open (member, context) {
      if (!loaded) throw new Error(`the model of reward ${context.name} was not loaded`)
      return {
        normalization: members[member]!.normalization, layers: [], forks: false, ...loaded.open(member, context)
      }
    }
  }
}
