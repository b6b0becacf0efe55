/**
 * The table of strategies: name → generator. Their parameters are in `strategy-schemas.ts`, facts about them in
 * `strategy-facts.ts`.
 */
import type { DecodeEvent } from '../events.js'
import type { DecodingRequest, Strategy } from '../request.js'
import { recorded } from '../recorded.js'
import { beamSearch } from './beam-search.js'
import { bestOfN } from './best-of-n.js'
import { dvts } from './dvts.js'
import { particleFilter } from './particle-filter.js'
import { rebase } from './rebase.js'
import { sample } from './sample.js'
import { segmentRejection } from './segment-rejection.js'
import { speculativeRejection } from './speculative-rejection.js'
import type { AlignmentRequest, ParametersOf, StrategyName } from './strategy-schemas.js'
import { tokenGuidance } from './token-guidance.js'

const strategies: { readonly [N in StrategyName]: Strategy<ParametersOf<N>> } = {
  best_of_n: bestOfN,
  speculative_rejection: speculativeRejection,
  beam_search: beamSearch,
  dvts,
  rebase,
  particle_filter: particleFilter,
  segment_rejection: segmentRejection,
  token_guidance: tokenGuidance
}

/** Runs a request's strategy, plain sampling where it names none. What is told of its steps needs a journal. */
export function decode (
  request: DecodingRequest, alignment: AlignmentRequest | null
): AsyncGenerator<DecodeEvent, void, undefined> {
  const events = alignment
    ? (strategies[alignment.strategy] as Strategy<AlignmentRequest>)(request, alignment)
    : sample(request, null)
  return request.journal ? recorded(events, request.journal, alignment) : events
}
