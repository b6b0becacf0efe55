/**
 * What rewards have in common that read texts through models: a source whose models are loaded before it is opened, and
 * whose members ask nothing of the policy's hidden states. Knows neither what is loaded nor how it scores.
 */
import type { Members } from './descriptor-parts.js'
import type { MemberScorer, OpenContext, RewardSource } from './reward-kind.js'
import type { RewardModels } from './reward-models.js'
import type { AnswerMember } from './scorer.js'

/** A member's part that depends on the kind. */
export type TextScorer = Pick<MemberScorer, 'score' | 'demands'>

/** A kind of reward once its models are there. */
export interface LoadedSource {
  /** SHA-256 of each model of its own. */
  readonly hashes: readonly string[]
  open (member: AnswerMember, context: OpenContext): TextScorer
}

/**
 * @param load loads the models. Throws RequestError for one that cannot be loaded, or does not score as the descriptor
 * says
 */
export function textSource (members: Members, load: (models: RewardModels) => Promise<LoadedSource>): RewardSource {
  let loaded: LoadedSource | null = null
  return {
    members: Object.keys(members) as AnswerMember[],
    misfit: () => null,
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
