/** What a generation took, as `usage` of the answers: OpenAI's figures with the ledger of guidance. */
import type { Usage } from '../../serving/protocol.js'
import type { AlignmentDetails } from '../alignment/alignment-types.js'
import type { Usage as WireUsage } from '../chat/chat-types.js'
import type { ResponseUsage } from '../responses/response-types.js'

/** The ledger of guidance: generated = returned + discarded. */
function ledgerObject (usage: Usage): AlignmentDetails {
  return {
    generated_tokens: usage.generatedTokens,
    returned_tokens: usage.returnedTokens,
    discarded_tokens: usage.discardedTokens,
    reward_tokens: usage.rewardTokens,
    reward_cached_tokens: usage.rewardCachedTokens,
    computed_prompt_tokens: usage.computedPromptTokens,
    forward_passes: usage.forwardPasses,
    ...(usage.engine
      ? {
          engine: {
            calls: usage.engine.calls,
            failed_calls: usage.engine.failedCalls,
            prompt_tokens: usage.engine.promptTokens,
            cached_tokens: usage.engine.cachedTokens
          }
        }
      : {})
  }
}

/** `usage` of chat completions and completions. */
export function completionUsage (usage: Usage): WireUsage {
  const [accepted, rejected] = [usage.acceptedDrafts, usage.rejectedDrafts]
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    ...(accepted + rejected === 0
      ? {}
      : { completion_tokens_details: { accepted_prediction_tokens: accepted, rejected_prediction_tokens: rejected } }),
    alignment_details: ledgerObject(usage)
  }
}

/** `usage` of responses. */
export function responseUsage (usage: Usage): ResponseUsage {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: usage.promptTokens + usage.completionTokens,
    alignment_details: ledgerObject(usage)
  }
}
