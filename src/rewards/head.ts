/**
 * Linear heads on the policy's own hidden states. The states come with the policy's pass, so a mean-pooled head costs no
 * forward pass; an end-token head costs one token per whole answer. Knows one head and its member; sums and names are
 * `resolve.ts`.
 */
import type { HeadDescriptor } from './descriptor.js'
import type { Answer, RewardMember } from './scorer.js'

/** Counts tokens that were run only to score. */
export interface RewardLedger { rewardTokens: number }

/** weights · state + bias, in float64. */
export function linearScore (weights: ArrayLike<number>, bias: number, state: Float32Array): number {
  let sum = bias
  for (let i = 0; i < state.length; i++) sum += weights[i]! * state[i]!
  return sum
}

/**
 * The state after the end token, as end-token heads are fitted on it: read at a raw token such a head is worthless.
 * Runs one token on a fork, so the answer's own sequence stays as it is.
 */
async function scoreAtEndToken (weights: Float64Array, { layer, bias }: HeadDescriptor, answer: Answer, endToken: number, ledger: RewardLedger): Promise<number> {
  const fork = answer.sequence.fork()
  try {
    fork.append(endToken)
    const output = await fork.output()
    ledger.rewardTokens++
    return linearScore(weights, bias, output.hidden(layer))
  } finally {
    fork.close()
  }
}

/**
 * Raw scores of a head.
 *
 * `mean` reads the running mean over the answer's tokens. `last` reads the end token, appended to a fork, for whole
 * answers and wherever the outcome member is used; the prefix member reads a prefix at its last token, as it was fitted.
 * An answer of zero tokens has no state of its own: its score is the member's reference mean, standardised 0.
 * @param member which of the descriptor's members is used; it must have it
 */
export function headScorer (descriptor: HeadDescriptor, member: RewardMember, endToken: number, ledger: RewardLedger): (answers: readonly Answer[]) => Promise<number[]> {
  const { layer, pooling, bias } = descriptor
  const weights = Float64Array.from(descriptor.weights)
  const emptyScore = descriptor.members[member]!.normalization.mean
  function scoreOne (answer: Answer): number | Promise<number> {
    if (answer.tokens.length === 0) return emptyScore
    if (pooling === 'mean') return linearScore(weights, bias, answer.output.pooled(layer))
    if (member === 'prefix' && !answer.final) return linearScore(weights, bias, answer.output.hidden(layer))
    return scoreAtEndToken(weights, descriptor, answer, endToken, ledger)
  }
  return answers => Promise.all(answers.map(scoreOne))
}
