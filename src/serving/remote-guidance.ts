/**
 * Token guidance by Q-heads inside an engine elsewhere: what a request may ask of it, and what the engine is told. It
 * draws from ln π + Σ strength · value of the most probable tokens; whatever would be something else here is refused.
 */
import type { AlignmentRequest, ParametersOf } from '../decoding/strategies/strategy-schemas.js'
import type { Guides } from '../policies/remote/engine-call.js'
import type { SamplingParams } from '../policies/sampling-params.js'
import type { Scorer } from '../rewards/scorer.js'
import { refuse } from '../validation.js'

type Guidance = ParametersOf<'token_guidance'>

/** The plugin takes no strength beyond it. */
const mostStrength = 1e6

const inside = 'with guidance inside the engine of this model'
/** Filters and penalties shape what is guided; the engine would apply them to what comes of it. */
const comesLater = `cannot be given ${inside}, which applies it after guidance, and not before`

/** Guidance of a request to a model elsewhere by the model's own engine; null where it asks for none. */
export const guidanceElsewhere = (alignment: AlignmentRequest | null): Guidance | null =>
  alignment?.strategy === 'token_guidance' && alignment.source === 'next_token' ? alignment : null

/** @throws RequestError naming the field, the rule and the value */
export function checkGuidanceElsewhere (params: Guidance, sampling: Omit<SamplingParams, 'maxTokens'>): void {
  const { max_kl: maxKl, warmup_tokens: warmup, transform, outside, candidates } = params
  const { topK, topP, minP, frequencyPenalty, presencePenalty, repetitionPenalty } = sampling
  const rules: ReadonlyArray<readonly [boolean, string, string, unknown]> = [
    [maxKl === null, 'alignment.max_kl', `must be null ${inside}, which does not tell the KL of its steps`, maxKl],
    [warmup === null, 'alignment.warmup_tokens', `must be null ${inside}, whose strength is the same for all tokens`,
      warmup],
    [transform === 'identity', 'alignment.transform', `must be identity ${inside}`, transform],
    [outside === 'mask', 'alignment.outside', `must be mask ${inside}`, outside],
    [candidates.top_p === 1, 'alignment.candidates.top_p', `must be 1 ${inside}`, candidates.top_p],
    [topK === 0, 'top_k', comesLater, topK],
    [topP === 1, 'top_p', comesLater, topP],
    [minP === 0, 'min_p', comesLater, minP],
    [frequencyPenalty === 0, 'frequency_penalty', comesLater, frequencyPenalty],
    [presencePenalty === 0, 'presence_penalty', comesLater, presencePenalty],
    [repetitionPenalty === 1, 'repetition_penalty', comesLater, repetitionPenalty]
  ]
  for (const [holds, field, rule, value] of rules) if (!holds) throw refuse(field, rule, value)
}

/**
 * What the engine is told: it multiplies values with the temperature before it divides all by it, and takes the most
 * probable token at temperature 0.
 * @param scorer of next-token members that the engine has
 * @throws RequestError for a strength that it would refuse
 */
export function guidanceOf (
  params: Guidance, { temperature }: SamplingParams, { guides }: Pick<Scorer, 'guides'>
): { readonly guides: Guides, readonly temperature: number } {
  const { strength, draw, candidates, guidance_before_temperature: before } = params
  // (ln π + strength · value) / temperature is guidance of the tempered policy with strength / temperature.
  const tempered = before && temperature > 0 ? strength / temperature : strength
  const isArgmax = draw === 'argmax' && temperature > 0
  const strengths = guides!.map(({ factor }) => factor * (isArgmax ? tempered * temperature : tempered))
  const tooStrong = strengths.find(one => Math.abs(one) > mostStrength)
  if (tooStrong !== undefined) {
    throw refuse('alignment.strength', `must be within ±${mostStrength} ${inside}, times the reward's weight and ` +
      'over the temperature', tooStrong)
  }
  return {
    guides: { heads: guides!.map(({ head }) => head), strengths, topK: candidates.top_k },
    temperature: isArgmax ? 0 : temperature
  }
}
