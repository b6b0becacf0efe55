/** Requests to score answers and to fit rewards, and the scores. */
import { Type, type Static } from 'typebox'
import type { rewardFitSchema } from './reward-fit-schema.js'
import type { rewardScoreSchema } from './reward-score-schema.js'
import {
  listOf, rewardsUsedList, scoreProperties, warningList, type WeightedReward
} from '../alignment/alignment-types.js'
import type { Given, Loose } from '../schemas/loose.js'

type ScoreBodyFields = Static<typeof rewardScoreSchema>

/** A request for scores of given answers: the body of `POST /v1/rewards/score`. @interface */
export type ScoreBody = Given<Omit<ScoreBodyFields, 'reward_scale' | 'rewards'>> & {
  readonly rewards?: readonly WeightedReward[]
  readonly reward_scale?: ScoreBodyFields['reward_scale']
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

export const scoreUsageObject = Type.Object({
  prompt_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
  computed_tokens: Type.Integer({ description: 'of prompts and answers, run through the model' })
})

const rewardScoreObject = Type.Object({
  index: Type.Integer(),
  object: Type.Literal('reward_score'),
  ...scoreProperties,
  tokens: Type.Integer({ description: 'of the answer' }),
  prefixes: Type.Optional(listOf(Type.Object({ tokens: Type.Integer(), text: Type.String(), ...scoreProperties }),
    'with every: scores of its prefixes, shortest first'))
})
/** The score of one given answer. */
export type RewardScore = Static<typeof rewardScoreObject>

export const rewardScoreList = Type.Object({
  object: Type.Literal('list'),
  model: Type.String(),
  rewards_used: rewardsUsedList,
  data: listOf(rewardScoreObject),
  warnings: warningList,
  usage: scoreUsageObject
})
/** Scores of given answers, in their order. */
export type RewardScores = Static<typeof rewardScoreList>
