/** What strategies are given of a model that runs on the engines of this process. */
import type { ContrastContext, DecodingRequest } from '../decoding/request.js'
import { needsDistributions } from '../decoding/strategies/policy-needs.js'
import { comparesAnswers } from '../decoding/strategies/strategy-footprint.js'
import { DraftingSequence, type DraftCounts } from '../engine/drafting-sequence.js'
import { PromptLookup } from '../engine/prompt-lookup.js'
import type { ComputeLedger } from '../engine/sequence.js'
import { IncrementalDetokenizer, pieceText } from '../models/tokenizer/detokenizer.js'
import type { Constraint } from '../policies/constraint.js'
import { openReadings } from '../policies/local/context-reading.js'
import { LocalPolicy } from '../policies/local/local-policy.js'
import { changesLogits } from '../policies/logits-processors.js'
import type { PromptReading } from './contrast-prompts.js'
import type { PreparedRequest } from './prepare.js'
import type { LocalModel } from './served-models.js'

/** What the answer itself used, and what was read again to score it. */
export interface LocalLedgers {
  readonly policy: ComputeLedger, readonly reward: ComputeLedger, readonly drafts: DraftCounts
}

/** The part of a request that depends on where the model runs. */
export type PolicyPart = Pick<DecodingRequest, 'policy' | 'embeddingLayer' | 'contrast' | 'pieceOf'>

/** @param constraint what answers are held to; null for nothing */
export function localDecoding (
  served: LocalModel, prepared: PreparedRequest, constraint: Constraint | null, signal: AbortSignal,
  ledgers: LocalLedgers
): PolicyPart {
  const { alignment, contrast, reward, sampling, fanOut, probed, drafts } = prepared
  const owned = { caller: prepared.caller, salt: prepared.cacheSalt, signal }
  const { engine, model } = served
  const embeddingLayer = comparesAnswers(alignment) ? Math.round(model.config.layers / 2) : null
  const layers = [...new Set([...reward?.scorer.layers ?? [], ...embeddingLayer === null ? [] : [embeddingLayer]])]
  const tokenBytes = (token: number): Uint8Array =>
    prepared.skipSpecialTokens ? model.tokenizer.tokenBytes(token) : model.tokenizer.writtenBytes(token)
  // Whoever looks at tokens of any rank in every step is given all logits at once.
  const listedLogits = !drafts && !constraint && !changesLogits(sampling) && !needsDistributions(alignment)
  const policy = new LocalPolicy(served.capabilities, {
    open: (tokens, options) => {
      // What is opened with a pool of its own is an answer that is read once more, to score it.
      const purpose =
        options?.poolFrom === undefined ? { ledger: ledgers.policy, fanOut, probed } : { ledger: ledgers.reward }
      const { temperature } = sampling
      const sequence = engine.open(tokens, { temperature, layers, listedLogits, ...owned, ...purpose, ...options })
      if (!drafts) return sequence
      return new DraftingSequence(sequence, {
        lookup: new PromptLookup([...drafts, ...tokens]),
        profile: engine.profile.drafts,
        // Nothing after the answer's last token is needed: verifying a draft there would be wasted.
        until: tokens.length + sampling.maxTokens - 1,
        pays: () => engine.isIdle,
        counts: ledgers.drafts
      })
    },
    sampling,
    layers,
    constraint,
    endTokens: model.tokenizer.endTokens,
    detokenizer: () => new IncrementalDetokenizer(tokenBytes),
    tokenBytes
  })
  const contextOf = (context: PromptReading | null): ContrastContext | null => context && {
    tokens: context.tokens,
    isForeign: context.reader !== null,
    open: count => openReadings(policy, (context.reader?.engine ?? engine).open(context.tokens,
      { ...owned, ledger: ledgers.reward, fanOut: count }), count)
  }
  return {
    policy,
    embeddingLayer,
    contrast: { toward: contextOf(contrast.toward), away: contextOf(contrast.away) },
    pieceOf: token => pieceText(tokenBytes(token))
  }
}
