/**
 * The table of strategies: name → generator. Their parameters are in `strategy-schemas.ts`, facts about them in
 * `strategy-facts.ts`.
 */
import type { DecodeEvent } from '../events.js'
import type { DecodingRequest, Strategy } from '../request.js'
import { withTrace } from '../trace.js'
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

/** Runs a request's strategy; plain sampling where it names none. */
export function decode (
  request: DecodingRequest, alignment: AlignmentRequest | null
): AsyncGenerator<DecodeEvent, void, undefined> {
  if (!alignment) return sample(request, null)
  const strategy = strategies[alignment.strategy] as Strategy<AlignmentRequest>
  if (!alignment.return_trace) return strategy(request, alignment)
  return withTrace(strategy(request, { ...alignment, return_progress: true }), alignment.return_progress)
}
