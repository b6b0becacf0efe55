/**
 * A fit once everything is read, as plain data that can move to another thread, and what its parts are made into: heads
 * that the server can use, standardised on the policy's own answers. How it is fitted is `fit-run.ts`.
 */
import type { Members, RewardFit } from '../rewards/descriptor-parts.js'
import type { HeadDescriptor, Naming } from '../rewards/descriptor.js'
import type { EnsembleDescriptor } from '../rewards/kinds/ensemble.js'
import type { StateScore, StateSet } from './held-out-figures.js'
import type { SampleSet } from './examples.js'
import { fractions, type PrefixStates } from './features.js'
import type { EnsembleOptions, FitChoices } from './fit-choices.js'
import type { HeadFit } from './fit-head.js'
import { linearScore, type Head } from '../rewards/kinds/head.js'
import { referenceStatistics } from './reference-pool.js'

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
  readonly pool: { readonly states: readonly PrefixStates[], readonly description: string }
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

/** Members with the statistics of a score on the pool: whole answers, and (for the prefix member) all four prefixes. */
export function referenceMembers (
  { states, description }: FittedStates['pool'], prefixes: boolean, score: StateScore
): Members {
  const whole = states.map(answer => score(answer.at(-1)!, true))
  const outcome = { normalization: referenceStatistics(whole, description) }
  if (!prefixes) return { outcome }
  const parts = states.flatMap(answer => answer.map(state => score(state, false)))
  return { outcome, prefix: { normalization: referenceStatistics(parts, `25, 50, 75 and 100 % of ${description}`) } }
}

/** Seven significant digits: what float32 states are known to. */
export function significant (value: number): number {
  return Number(value.toPrecision(7))
}
