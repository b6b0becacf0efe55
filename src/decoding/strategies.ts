/** The table of strategies: name → generator. Their parameters and facts are in `parameters.ts`. */
import type { Prompt } from '../rewards/scorer.js'
import { beamSearch } from './beam-search.js'
import { bestOfN } from './best-of-n.js'
import type { AlignmentRequest, BeamSearchParams, BestOfNParams, StrategyName, TokenGuidanceParams } from './parameters.js'
import type { DecodeEvent, Runtime, SamplingParams, Strategy } from './runtime.js'
import { sample } from './sample.js'
import { tokenGuidance } from './token-guidance.js'

interface StrategyParams { readonly best_of_n: BestOfNParams, readonly beam_search: BeamSearchParams, readonly token_guidance: TokenGuidanceParams }

const strategies: { readonly [N in StrategyName]: Strategy<StrategyParams[N]> } = {
  best_of_n: bestOfN,
  beam_search: beamSearch,
  token_guidance: tokenGuidance
}

/** Runs a request's strategy; plain sampling where it names none. */
export function decode (runtime: Runtime, prompt: Prompt, sampling: SamplingParams, alignment: AlignmentRequest | null, n: number): AsyncGenerator<DecodeEvent, void, undefined> {
  if (!alignment) return sample(runtime, prompt, sampling, null, n)
  const strategy = strategies[alignment.strategy] as Strategy<AlignmentRequest>
  return strategy(runtime, prompt, sampling, alignment, n)
}
