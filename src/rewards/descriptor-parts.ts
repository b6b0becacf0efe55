/**
 * What descriptors of several kinds have in common: name, members with their statistics, where a fit came from and how
 * good it is. Schemas only.
 */
import { Type, type Static } from 'typebox'

/** Objects of a descriptor have no other fields. */
export const closed = { additionalProperties: false } as const
const fraction = Type.Number({ minimum: 0, maximum: 1 })

/** A reward's name in requests, and what it means. */
export const naming = {
  name: Type.String({ pattern: '^[a-z][a-z0-9_-]{0,63}$' }),
  description: Type.String({ minLength: 1, maxLength: 1000 })
}

/** Mean and standard deviation of a member's raw score over a fixed pool of the policy's own answers. */
const normalizationSchema =
  Type.Object({ mean: Type.Number(), std: Type.Number({ exclusiveMinimum: 0 }), pool: Type.String() }, closed)
const memberSchema = Type.Object({ normalization: normalizationSchema }, closed)

/** At least one member with its statistics. */
export const membersSchema = Type.Object({ outcome: Type.Optional(memberSchema), prefix: Type.Optional(memberSchema) },
  { ...closed, minProperties: 1 })

/** Held-out figures of a fitted reward; the card is printed from them. */
export const metricsSchema = Type.Object({
  /**
   * `pair_accuracy`: share of pairs whose better answer scores higher, ties ½ (for scored answers: of pairs of one
   * prompt whose scores differ). `accuracy`: share of labels whose side of 0 is right.
   */
  measure: Type.Union([Type.Literal('pair_accuracy'), Type.Literal('accuracy')]),
  /** What the figures were measured on. */
  split: Type.String(),
  examples: Type.Integer({ minimum: 1 }),
  /** Prompts (or texts, where all share a prompt): the unit of the standard errors. */
  clusters: Type.Integer({ minimum: 1 }),
  /** One entry per share of the answer read, ascending; the last is the whole answer. `auc` for labels only. */
  byPrefix: Type.Array(Type.Object(
    { fraction, accuracy: fraction, standardError: Type.Number({ minimum: 0 }), auc: Type.Optional(fraction) }, closed
  ), { minItems: 1 }),
  /**
   * Expected calibration error of σ(score), of whole answers, ten equal-width bins. Absent where a score is no logit.
   */
  calibrationError: Type.Optional(fraction),
  /** Whole-answer accuracy of rewards that know nothing, or no hidden states. */
  controls: Type.Object(
    { lengthOnly: fraction, randomHead: fraction, randomHeadStd: Type.Number({ minimum: 0 }), tfidf: fraction }, closed
  )
}, closed)

/** What a reward was fitted on, and how. */
export const fitSchema = Type.Object({
  objective: Type.Union([Type.Literal('bradley_terry'), Type.Literal('logistic'), Type.Literal('regression')]),
  data: Type.String(),
  licence: Type.String(),
  examples: Type.Integer({ minimum: 1 }),
  /** λ of (λ/2)‖w‖², on standardised features. */
  regularization: Type.Number({ minimum: 0 }),
  /** Of an ensemble: what makes its heads differ. */
  uncertainty: Type.Optional(Type.Union([Type.Literal('bootstrap'), Type.Literal('laplace')])),
  /** Answers were cut to this many tokens. */
  maxAnswerTokens: Type.Integer({ minimum: 1 }),
  cutAnswers: Type.Integer({ minimum: 0 }),
  /** Pairs that were left out, for their answers are equal in so many tokens. */
  equalPairs: Type.Optional(Type.Integer({ minimum: 1 }))
}, closed)

/** What a user's reward was made from. */
export const adaptationSchema = Type.Object({
  /** Reward that was adapted, and its version. */
  from: Type.String(),
  version: Type.String(),
  pairs: Type.Integer({ minimum: 1 }),
  /** Pairs that were left out, for their answers are equal as they are read. */
  equalPairs: Type.Optional(Type.Integer({ minimum: 1 })),
  /**
   * Leave-one-out pair accuracy: of the adapted reward, of the reward it is from, and of adapting as many random heads.
   */
  leaveOneOut: Type.Optional(Type.Object({ adapted: fraction, single: fraction, randomHeads: fraction }, closed))
}, closed)

/** Where a user's reward comes from. */
export type Adaptation = Static<typeof adaptationSchema>
/** Mean and standard deviation of raw scores over a pool of the policy's own answers. */
export type Normalization = Static<typeof normalizationSchema>
/** The members that a reward has, each with its statistics. */
export type Members = Static<typeof membersSchema>
/** How well a fit does on held-out examples. */
export type RewardMetrics = Static<typeof metricsSchema>
/** Where a fitted reward comes from. */
export type RewardFit = Static<typeof fitSchema>
