/** One token drawn under guidance, and how the journal tells of it. */
import type { GuidedToken } from '../../journal/entries.js'
import type { RankedToken } from '../../policies/sampling-distribution.js'
import type { Guided } from './guided-distribution.js'

export interface GuidedStep {
  readonly token: number
  /** What it was drawn from; null where it was drawn from the policy, whose KL budget is used up. */
  readonly guided: Guided | null
  /** Of the step's distribution to the policy's, nats; null where the most probable token is taken. */
  readonly kl: number | null
  /** Of the strength that the KL budget left. */
  readonly share: number
}

/** What a step was made of. */
export interface StepInput {
  /** The candidate, and the token's place in it. */
  readonly index: number
  readonly at: number
  /** The tokens that were looked at, and g of each. */
  readonly policy: readonly RankedToken[]
  readonly values: readonly number[]
  /** Of the answer up to the token, null where none was read; absent where no reward steers. */
  readonly reward?: number | null
  readonly alternatives: number
  readonly pieceOf: (token: number) => string
}

/** A step as the journal tells it. */
export function guidedToken (
  { token, guided, kl, share }: GuidedStep, { index, at, policy, values, reward, alternatives, pieceOf }: StepInput
): GuidedToken {
  const choices = alternatives === 0
    ? []
    : policy.map((one, place) => ({
      token: one.token,
      lnPolicy: one.logProbability,
      value: values[place]!,
      lnGuided: guided ? guided.ranked[place]!.logProbability : one.logProbability
    })).sort((a, b) => b.lnGuided - a.lnGuided).slice(0, alternatives)
  const rest = Math.max(0, 1 - choices.reduce((sum, { lnPolicy }) => sum + Math.exp(lnPolicy), 0))
  const taken = choices.findIndex(one => one.token === token)
  return [index, at, pieceOf(token), taken, kl, share, rest,
    choices.map(({ token, lnPolicy, value, lnGuided }) => [pieceOf(token), lnPolicy, value, lnGuided]),
    ...reward === undefined ? [] as const : [reward] as const]
}
