/** Requests to score answers and to fit rewards, rewards and scores. */
import { Type, type Static } from 'typebox'
import { anyObject } from '../../checker.js'
import {
  listOf, orNull, rewardsUsedList, scoreProperties, warningList, type WeightedReward
} from '../alignment/alignment-types.js'
import { listObject } from '../schemas/answer-schemas.js'
import type { Given, Loose } from '../schemas/optional-fields.js'
import type { rewardFitSchema } from './reward-fit-schema.js'
import type { rewardScoreSchema } from './reward-score-schema.js'

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

const scoreUsageObject = Type.Object({
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
  prefixes: Type.Optional(listOf(Type.Object({
    tokens: Type.Integer(),
    end: Type.Integer({ description: 'where its text ends in the answer’s, in code points' }),
    ...scoreProperties
  }), 'with every: scores of its prefixes, shortest first'))
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

export const scoredList = Type.Object({
  id: Type.String(),
  object: Type.Literal('list'),
  created: Type.Integer(),
  model: Type.String(),
  data: listOf(Type.Object({ index: Type.Integer(), object: Type.Literal('score'), score: Type.Number() })),
  warnings: warningList,
  usage: scoreUsageObject
})
/** Scores in vLLM's shape. */
export type ScoredList = Static<typeof scoredList>

export const rerankedList = Type.Object({
  id: Type.String(),
  model: Type.String(),
  results: listOf(Type.Object({
    index: Type.Integer(), document: Type.Optional(Type.Object({ text: Type.String() })), relevance_score: Type.Number()
  })),
  warnings: warningList,
  usage: scoreUsageObject
})
/** Documents in Jina's shape, best first. */
export type RerankedList = Static<typeof rerankedList>

const rewardFields = {
  id: Type.String(),
  object: Type.Literal('reward'),
  kind: Type.String(),
  members: listOf(Type.String()),
  description: Type.String(),
  version: Type.String(),
  models: listOf(Type.String()),
  deletable: Type.Boolean()
}
export const rewardList = listObject(Type.Object(rewardFields))
/** A reward in a list. */
export type RewardListItem = Static<typeof rewardList>['data'][number]

const known = orNull(anyObject())
export const rewardCardObject = Type.Object({
  ...rewardFields, statistics: known, fit: known, metrics: known, next_token: known, adaptation: known
})
/** A reward with its card: statistics, what it was fitted on, how good it is. */
export type RewardCard = Static<typeof rewardCardObject>

export const suggestionList = listObject(Type.Object({ index: Type.Integer(), gain: Type.Number() }))
