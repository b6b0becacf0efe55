/**
 * The arithmetic of token guidance: a policy over candidate tokens, their values, the distribution that these make, its
 * KL. Knows no sequences.
 */
import { largestShare } from '../selection/bisection.js'
import type { RankedToken } from '../../policies/sampling-distribution.js'
import type { ParametersOf } from '../strategies/strategy-schemas.js'

/** g, over the values of the candidates. */
export const transforms: Readonly<Record<ParametersOf<'token_guidance'>['transform'], (
  values: readonly number[]
) => number[]>> = {
  identity: values => [...values],
  centered: values => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return values.map(value => value - mean)
  },
  minmax: values => {
    const [min, max] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]
    return values.map(value => max === min ? 0 : (value - min) / (max - min))
  },
  log_sigmoid: values =>
    values.map(value => value > 0 ? -Math.log1p(Math.exp(-value)) : value - Math.log1p(Math.exp(value))),
  clip01: values => values.map(value => Math.min(1, Math.max(0, value)))
}

/** A distribution over candidate tokens, by rank of the policy. */
export interface Guided {
  readonly ranked: readonly RankedToken[]
  /** What is added to ln π(v) of every other token that may be drawn. */
  readonly shift: number
}

/**
 * The guided distribution: ln π(v) + strength · value, normalised.
 * @param outside what the policy gives to the other tokens that may be drawn, whose value is 0; 0 masks them
 */
export function guide (
  policy: readonly RankedToken[], values: readonly number[], strength: number, outside = 0
): Guided {
  const scores = policy.map(({ logProbability }, index) => logProbability + strength * values[index]!)
  const rest = Math.log(outside)
  const largest = scores.reduce((a, b) => Math.max(a, b), rest)
  const logSum =
    largest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - largest), Math.exp(rest - largest)))
  return {
    ranked: policy.map(({ token }, index) => ({ token, logProbability: scores[index]! - logSum })), shift: -logSum
  }
}

/** KL of the guided distribution to the policy, nats: Σ π′ (ln π′ − ln π). */
export function stepKl ({ ranked, shift }: Guided, policy: readonly RankedToken[], outside = 0): number {
  return ranked.reduce((sum, { logProbability }, index) => sum +
    Math.exp(logProbability) * (logProbability - policy[index]!.logProbability), outside * Math.exp(shift) * shift)
}

/**
 * Guidance as far as a budget of KL allows: the strength is scaled down, by bisection, until the step costs no more
 * than is left; null where even strength 0 does.
 * @returns with the share of the strength that is left
 */
export function guideWithin (
  policy: readonly RankedToken[], values: readonly number[], strength: number, left: number, outside = 0
): { readonly guided: Guided, readonly share: number } | null {
  const at = (share: number): Guided => guide(policy, values, strength * share, outside)
  const fits = (share: number): boolean => left === Infinity || stepKl(at(share), policy, outside) <= left
  if (!fits(1) && !fits(0)) return null
  const share = largestShare(fits)
  return { guided: at(share), share }
}

/** The fewest of the most probable tokens that have probability `topP` of what `ranked` holds. */
export function nucleus (ranked: readonly RankedToken[], topP: number): readonly RankedToken[] {
  if (topP >= 1) return ranked
  let mass = 0
  const count = ranked.findIndex(({ logProbability }) => (mass += Math.exp(logProbability)) >= topP)
  return count < 0 ? ranked : ranked.slice(0, count + 1)
}
