/**
 * The table of strategies: name → generator. Their parameters are in `strategy-schemas.ts`, facts about them in
 * `strategy-facts.ts`.
 */
import type { Prompt } from '../../rewards/scorer.js'
import { beamSearch } from './beam-search.js'
import { bestOfN } from './best-of-n.js'
import { dvts } from './dvts.js'
import { particleFilter } from './particle-filter.js'
import { rebase } from './rebase.js'
import type { DecodeEvent, Runtime, SamplingParams, Strategy } from '../runtime.js'
import { sample } from './sample.js'
import { segmentRejection } from './segment-rejection.js'
import { speculativeRejection } from './speculative-rejection.js'
import type { AlignmentRequest, ParametersOf, StrategyName } from './strategy-schemas.js'
import { tokenGuidance } from './token-guidance.js'
import { withTrace } from '../trace.js'

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
  runtime: Runtime, prompt: Prompt, sampling: SamplingParams, alignment: AlignmentRequest | null, n: number
): AsyncGenerator<DecodeEvent, void, undefined> {
  if (!alignment) return sample(runtime, prompt, sampling, null, n)
  const strategy = strategies[alignment.strategy] as Strategy<AlignmentRequest>
  if (!alignment.return_trace) return strategy(runtime, prompt, sampling, alignment, n)
  return withTrace(strategy(runtime, prompt, sampling, { ...alignment, return_progress: true }, n),
    alignment.return_progress)
}
