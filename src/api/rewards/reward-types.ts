/** Requests to score answers and to fit rewards, and the scores. Types only. */
import type { Static } from 'typebox'
import type { Warning } from '../../decoding/result.js'
import type { GenerationStart } from '../../serving/protocol.js'
import type { rewardFitSchema } from './reward-fit-schema.js'
import type { rewardScoreSchema } from './reward-score-schema.js'
import type { ScoreFields, WeightedReward } from '../alignment/alignment-types.js'
import type { Usage } from '../chat/chat-types.js'
import type { Loose } from '../schemas/loose.js'

/** A request for scores of given answers: the body of `POST /v1/rewards/score`. @interface */
export type ScoreBody = Readonly<Omit<Static<typeof rewardScoreSchema>, 'reward_scale' | 'rewards' | 'input'>> & {
  readonly rewards?: readonly WeightedReward[]
  readonly reward_scale?: 'standardized' | 'raw'
  /** Pairs of prompt and answer, or conversations; at most 1024. */
  readonly input: ReadonlyArray<Readonly<Static<typeof rewardScoreSchema>['input'][number]>>
}

/** Examples to fit a reward on: the body of `POST /v1/rewards/fit`, feedback apart, which servers keep. @interface */
export type FitBody = Loose<Omit<Static<typeof rewardFitSchema>, 'stream' | 'feedback' | 'name' | 'examples' | 'test'>>
  & {
  /** What requests call the reward: lower-case letters, digits, _ and -. */
    readonly name: string
    /** At least 20, all of one kind: pairs, labelled answers or scored answers. */
    readonly examples: readonly FitExample[]
    /** Held out; default a fifth of the prompts. */
    readonly test?: readonly FitExample[]
  }

/**
 * An example of what a reward is to prefer, labelled or scored; with `prompt`, or `messages`, or neither for a text of
 * its own.
 */
export type FitExample = Readonly<NonNullable<Static<typeof rewardFitSchema>['examples']>[number]>

/** The score of one given answer. */
export interface RewardScore extends Required<ScoreFields> {
  readonly index: number
  readonly object: 'reward_score'
  /** Of the answer. */
  readonly tokens: number
  /** With `every`: scores of its prefixes, shortest first. */
  readonly prefixes?: ReadonlyArray<Required<ScoreFields> & { readonly tokens: number, readonly text: string }>
}

/** Scores of given answers, in their order. */
export interface RewardScores {
  readonly object: 'list'
  readonly model: string
  readonly rewards_used: GenerationStart['rewardsUsed']
  readonly data: readonly RewardScore[]
  readonly warnings: readonly Warning[]
  readonly usage: Omit<Usage, 'completion_tokens' | 'alignment_details'> & {
    /** Of prompts and answers, run through the model. */
    readonly computed_tokens: number
  }
}
