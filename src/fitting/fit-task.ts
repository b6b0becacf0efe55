/**
 * A fit as data: what is asked for, and, once everything is read, the task that moves to another thread; and fitted
 * weights as a head that the server can use. How a task is done is `fit-worker.ts`.
 */
import type { RewardFit } from '../rewards/descriptor-parts.js'
import type { HeadDescriptor, Naming } from '../rewards/descriptor.js'
import type { CombineRule, EnsembleDescriptor } from '../rewards/kinds/ensemble.js'
import { linearScore, type Head } from '../rewards/kinds/head.js'
import { significant } from '../statistics/metrics.js'
import type { Examples, SampleSet } from './examples.js'
import { fractions, type PrefixStates } from './features.js'
import type { HeadFit } from './fit-head.js'
import type { StateSet } from './held-out-figures.js'
import { referenceMembers, type PoolStates } from './reference-pool.js'

/** An ensemble in place of one head. */
export interface EnsembleOptions {
  /** Number of heads, 2 to 32. */
  readonly heads: number
  /** What makes them differ. */
  readonly uncertainty: 'bootstrap' | 'laplace'
  readonly combine: Exclude<CombineRule, 'weighted'>
  /** Of uwo and lcb. */
  readonly penalty: number
}

/** What a fit is doing: reading answers, reading the reference pool, fitting heads, drawing answers for a Q-head. */
export interface FitProgress {
  readonly phase: 'features' | 'pool' | 'fit' | 'next_token', readonly done: number, readonly total: number
}

/** What the user chooses. */
export interface FitChoices {
  readonly name: string
  readonly description: string
  readonly train: Examples
  /**
   * Held-out examples of the same kind, none of them in `train`. Default: a fifth of the training prompts is held out.
   */
  readonly test?: Examples
  /** Name, size and origin of the data, and the licence it comes under, for the card. */
  readonly data: { readonly name: string, readonly licence: string }
  /**
   * Layers to try, 0..L; the best by cross-validation is taken. Default a third, half and two thirds of the model's.
   */
  readonly layers?: readonly number[]
  readonly pooling: 'mean' | 'last'
  /**
   * Fit on 25, 50, 75 and 100 % of each answer, for both members; else on whole answers, for the outcome member only.
   */
  readonly prefixes: boolean
  /** Longer answers are cut, and the descriptor says how many were. Default 256. */
  readonly maxAnswerTokens?: number
  /**
   * Keep so many directions that the pairs differ along beside the head, so that it can be adapted to a user. Needs
   * pairs and one head.
   */
  readonly directions?: number
  /** Several heads, whose disagreement is reported, in place of one. */
  readonly ensemble?: EnsembleOptions
  /** Also fit a next-token member. Needs one head with mean pooling and prefixes, and ten different prompts. */
  readonly qHead?: boolean
}

/** What a fit makes. */
export type FittedDescriptor = HeadDescriptor | Naming & EnsembleDescriptor

/**
 * States of many answers in one array, which moves to another thread without being copied: answer by answer, at each of
 * `fractions`, D numbers.
 */
export interface PackedStates { readonly values: Float32Array, readonly width: number }

/** All that a fit is computed from. */
export interface FitTask extends Pick<FitChoices, 'name' | 'description' | 'data' | 'pooling' | 'prefixes'
  | 'directions'> {
  readonly ensemble: EnsembleOptions | null
  readonly policy: Head['policy']
  readonly train: SampleSet
  readonly test: SampleSet
  /** Pairs that were left out of both, for their answers are equal as they are read. */
  readonly equalPairs: number
  /** Tokens of each answer of `train`, then of `test`, before any cut. */
  readonly lengths: readonly number[]
  /** What the test set is. */
  readonly split: string
  readonly maxAnswerTokens: number
  /** Per layer tried, states of the answers in the order of `lengths`, and of the reference pool. */
  readonly layers: ReadonlyArray<{ readonly layer: number, readonly states: PackedStates, readonly pool: PackedStates }>
  readonly poolDescription: string
}

/** What fits have in common once the layer is chosen: sets with states, the best head, the pool. */
export interface FittedStates {
  readonly train: StateSet
  readonly test: StateSet
  readonly best: HeadFit & { readonly layer: number }
  readonly pool: PoolStates
  readonly fit: RewardFit
}

/** States of answers in one array. */
export function packStates (answers: readonly PrefixStates[]): PackedStates {
  const width = answers[0]?.[0]?.length ?? 0
  const values = new Float32Array(answers.length * fractions.length * width)
  for (const [row, states] of answers.entries()) {
    for (const [column, state] of states.entries()) values.set(state, (row * fractions.length + column) * width)
  }
  return { values, width }
}

/** Views of packed states. */
export function unpackStates ({ values, width }: PackedStates): PrefixStates[] {
  const count = width === 0 ? 0 : values.length / (fractions.length * width)
  return Array.from({ length: count }, (_, row) => fractions.map((_fraction, column) => {
    const at = (row * fractions.length + column) * width
    return values.subarray(at, at + width)
  }))
}

/** Weights on raw states as a head that the server can use, standardised on the pool. */
export function headOf (
  { policy, pooling, prefixes }: FitTask, { best, pool }: FittedStates, { weights, bias }: HeadFit['head']
): Head {
  return {
    kind: 'head',
    members: referenceMembers(pool, prefixes, state => linearScore(weights, bias, state)),
    policy,
    layer: best.layer,
    pooling,
    bias: significant(bias),
    weights: Array.from(weights, significant)
  }
}
