/** `alignment` as requests give it and as answers tell of it. */
import { Type, type Static, type TSchema, type TUnsafe } from 'typebox'
import { anyObject, nullable } from '../../checker.js'
import type { ParametersOf, StrategyName } from '../../decoding/strategies/strategy-schemas.js'
import type { Loose } from '../schemas/optional-fields.js'

/** A reward and its weight in the sum that steers. */
export interface WeightedReward {
  /** Name of a reward, as `GET /v1/rewards` lists it. */
  readonly name: string
  /** −1000 to 1000, default 1; a negative weight asks for the opposite. */
  readonly weight?: number | undefined
}

/** Parameters of one strategy, as a request gives them. docs/strategies.md says what each means. */
export type StrategyParams<N extends StrategyName> = Loose<Omit<ParametersOf<N>, 'rewards'>> & {
  /** Short for `rewards` with one of weight 1. */
  readonly reward?: string | null
  readonly rewards?: readonly WeightedReward[] | null
}

/** The `alignment` field of a request: how the answer is steered. Without `strategy` it is `best_of_n`. */
export type AlignmentParams =
  | { [N in StrategyName]: { readonly strategy: N } & StrategyParams<N> }[StrategyName]
  | { readonly strategy?: null } & StrategyParams<'best_of_n'>

const number = (description: string) => Type.Number({ description })
const count = (description: string) => Type.Integer({ description })

/** A list that is not to be changed. */
export const listOf = <T extends TSchema>(items: T, description?: string): TUnsafe<ReadonlyArray<Static<T>>> =>
  Type.Unsafe<ReadonlyArray<Static<T>>>(Type.Array(items, description === undefined ? {} : { description }))

/** A value that may be null. */
export const orNull = <T extends TSchema>(schema: T, description?: string) =>
  nullable(schema, description === undefined ? {} : { description })

const finishReason = Type.Enum(['stop', 'length'])

const rewardValueObject = Type.Object({
  raw: number('as the reward computes it'),
  standardized: number('(raw − mean) / standard deviation of the policy’s own answers'),
  std: Type.Optional(number('of an ensemble: standard deviation over its scorers')),
  steps: Type.Optional(listOf(Type.Number(), 'of a judge of steps: how probably each is right'))
})
/** One reward's score of one answer. */
export type RewardValue = Static<typeof rewardValueObject>

/** A score. */
export const scoreProperties = {
  reward: number('Σ weight · score over the rewards of the request: what steers'),
  rewards: Type.Record(Type.String(), rewardValueObject, { description: 'by name of the reward' })
}
const scoreIfAny = { reward: Type.Optional(scoreProperties.reward), rewards: Type.Optional(scoreProperties.rewards) }
/** A score, where a reward was asked for. */
export interface ScoreFields {
  readonly reward?: number
  readonly rewards?: Readonly<Record<string, RewardValue>>
}

export const choiceAlignmentObject = Type.Object({
  ...scoreIfAny,
  candidate_index: count('which of the candidates it was'),
  logprob: number('Σ ln π of its tokens, nats')
})
/** `choices[i].alignment`: how a returned answer was found. */
export type ChoiceAlignment = Static<typeof choiceAlignmentObject>

const candidateObject = Type.Object({
  index: Type.Integer(),
  parent: Type.Optional(count('index of the candidate it was forked from')),
  text: Type.String(),
  tokens: count('tokens drawn for it'),
  finish_reason: orNull(finishReason),
  pruned_at: Type.Optional(count('step or token at which it was dropped')),
  ...scoreIfAny,
  logprob: number('Σ ln π of its tokens, nats')
})
/** A candidate, chosen or not. */
export type Candidate = Static<typeof candidateObject>

export const rewardsUsedList = listOf(Type.Object({
  name: Type.String(),
  member: Type.Enum(['outcome', 'prefix', 'next_token']),
  version: Type.String(),
  weight: Type.Number()
}))
export const warningList = listOf(Type.Object({ code: Type.String(), message: Type.String() }))

const traced = Type.Unsafe<ReadonlyArray<readonly [index: number, reward: number | null]>>(
  Type.Array(Type.Array(orNull(Type.Number()), { minItems: 2, maxItems: 2, description: 'index and reward' })))

export const alignmentReportObject = Type.Object({
  strategy: Type.String(),
  resolved: anyObject({ description: 'all parameters in force' }),
  rewards_used: rewardsUsedList,
  seed: Type.Integer({ description: 'same seed and system_fingerprint, same tokens' }),
  kl: Type.Object({
    value: orNull(Type.Number()), kind: orNull(Type.Enum(['exact_sampled', 'upper_bound', 'bound_estimate']))
  }, { description: 'KL of the answer’s distribution to the policy, nats, and what kind of figure it is' }),
  num_unique: count('distinct texts among the candidates'),
  stopped_by: orNull(Type.Enum(['max_generated_tokens', 'deadline']), 'which soft limit ended the search'),
  warnings: warningList,
  details: Type.Optional(anyObject({ description: 'what only this strategy knows' })),
  candidates: Type.Optional(listOf(candidateObject, 'with return_candidates or return_trace')),
  trace: Type.Optional(listOf(Type.Object({ step: Type.Integer(), kept: traced, dropped: traced }),
    'with return_trace: after each step the candidates kept and dropped, with their rewards'))
})
/** `alignment` of a response: what was asked for in full, and what came of it. */
export type AlignmentReport = Static<typeof alignmentReportObject>

export const alignmentProgressObject = Type.Object({
  progress: Type.Object({
    step: Type.Integer(),
    candidates: listOf(Type.Object({
      index: Type.Integer(),
      parent: orNull(Type.Integer()),
      text: Type.String(),
      reward: orNull(Type.Number(), 'null while it was not scored'),
      kept: Type.Boolean({ description: 'false for one that this step dropped' }),
      finished: Type.Boolean()
    }))
  })
})
/** With `return_progress`: the candidates of a search as one of its steps left them. */
export type AlignmentProgress = Static<typeof alignmentProgressObject>

export const alignmentDetailsObject = Type.Object({
  generated_tokens: count('returned and discarded'),
  returned_tokens: Type.Integer(),
  discarded_tokens: Type.Integer(),
  reward_tokens: count('read only to score'),
  reward_cached_tokens: Type.Integer(),
  computed_prompt_tokens: count('of the prompt, run through the model'),
  forward_passes: count('of models that this process runs'),
  engine: Type.Optional(Type.Object({
    calls: Type.Integer(),
    failed_calls: count('that were made again'),
    prompt_tokens: count('that the engine read, over the calls that ran to their end'),
    cached_tokens: count('of those, from its cache')
  }, { description: 'calls to the inference engine that runs the model, where this process does not' }))
})
/** `usage.alignment_details`: what the answer took, tokens. */
export type AlignmentDetails = Static<typeof alignmentDetailsObject>
