/**
 * The policy's own confidence in an answer: the mean over its tokens of their logprob, or of self-certainty, the KL
 * divergence of the distribution before each from the uniform one. The policy reads the answer once more for it.
 */
import { Type, type Static, type TObject } from 'typebox'
import type { Distribution } from '../../engine/sequence.js'
import { ChatReader, policyReader } from '../chat-reader.js'
import { membersSchema } from '../descriptor-parts.js'
import type { RewardSource } from '../reward-kind.js'
import { tokenLogprob, type TokenMeasure } from '../text-reader.js'
import { textSource } from '../text-source.js'

/**
 * KL of the uniform distribution to the one given, nats, ≥ 0: −1/V · Σ_v ln(V · p(v)). Source: Kang et al. 2025, arXiv
 * 2502.18581.
 */
export function selfCertainty ({ logits, logNormalizer, size }: Distribution): number {
  let sum = 0
  for (let token = 0; token < size; token++) sum += logits[token]!
  return logNormalizer - sum / size - Math.log(size)
}

const measures =
  { mean_logprob: tokenLogprob, self_certainty: selfCertainty } as const satisfies Record<string, TokenMeasure>

/** Fields of such a reward's descriptor beside the family's. */
export const confidenceFields = {
  kind: Type.Literal('confidence'),
  measure: Type.Enum(Object.keys(measures) as Array<keyof typeof measures>),
  members: membersSchema
}

/** Such a descriptor, read and checked. */
export type ConfidenceDescriptor = Static<TObject<typeof confidenceFields>>

/**
 * The policy's confidence as a source of scores. An answer without tokens has the member's reference mean, as with
 * heads: 0 would be the highest confidence.
 */
export function confidenceSource ({ measure, members }: ConfidenceDescriptor): RewardSource {
  return textSource(members, async () => ({
    hashes: [],
    open (member, context) {
      const { mean } = members[member]!.normalization
      const reader = new ChatReader(policyReader(context), context, measures[measure as keyof typeof measures])
      return {
        demands: [reader.demand],
        async score ({ messages }, answers) {
          const sums = await reader.sums(messages, answers)
          return sums.map(({ sum, tokens }) => ({ raw: tokens === 0 ? mean : sum / tokens }))
        }
      }
    }
  }), { readsPolicy: true })
}
