/** What a request may ask of an engine elsewhere: what has no effect there is refused by name. */
import { RequestError } from '../errors.js'
import type { Structure } from '../policies/remote/engine-call.js'
import type { EngineField } from '../policies/remote/engine-fields.js'
import type { RemoteEngine } from '../policies/remote/remote-engine.js'
import type { ParametersOf } from '../decoding/strategies/strategy-schemas.js'
import type { GenerateRequest } from './protocol.js'
import { checkGuidanceElsewhere, guidanceElsewhere } from './remote-guidance.js'

type Guidance = ParametersOf<'token_guidance'>

/** The fields of an engine that a request makes use of, by what the caller calls them. */
function fieldsUsed ({ sampling, seed, grammar }: GenerateRequest): ReadonlyArray<readonly [string, EngineField]> {
  const { topK, topP, minP, minTokens, logitBias, topLogprobs, frequencyPenalty, presencePenalty } = sampling
  const isDrawn = sampling.temperature > 0
  const uses: ReadonlyArray<readonly [boolean, string, EngineField]> = [
    [seed !== null && isDrawn, 'seed', 'seed'],
    [topK > 0, 'top_k', 'top_k'],
    [topP < 1, 'top_p', 'top_p'],
    [minP > 0, 'min_p', 'min_p'],
    [minTokens > 0, 'min_tokens', 'min_tokens'],
    [Object.keys(logitBias).length > 0, 'logit_bias', 'logit_bias'],
    [frequencyPenalty !== 0, 'frequency_penalty', 'frequency_penalty'],
    [presencePenalty !== 0, 'presence_penalty', 'presence_penalty'],
    [(topLogprobs ?? 0) > 0, 'top_logprobs', 'top_logprobs'],
    [grammar !== null, grammar?.param ?? '', 'structured_outputs']
  ]
  return uses.filter(([isUsed]) => isUsed).map(([, name, field]) => [name, field])
}

const refuse = (param: string, rest: string): RequestError =>
  new RequestError('invalid_request', `${param} ${rest}`, { param })

/** @throws RequestError naming the field */
export function checkEngine (engine: RemoteEngine, request: GenerateRequest): void {
  for (const [name, field] of fieldsUsed(request)) {
    if (!engine.has(field)) throw refuse(name, 'has no effect in the engine of this model')
  }
  const { sampling, promptLogprobs, drafts } = request
  const { topLogprobs } = sampling
  if ((topLogprobs ?? 0) > engine.report.alternatives) {
    throw refuse('top_logprobs',
      `must be at most ${engine.report.alternatives}, as many as the engine of this model gives; got ${topLogprobs}`)
  }
  if (promptLogprobs !== null) throw refuse('prompt_logprobs', 'cannot be had from the engine of this model')
  if (drafts) {
    throw refuse(drafts.prediction === '' ? 'prompt_lookup' : 'prediction',
      'is not used by the engine of this model: leave it out')
  }
  structureOf(request)
  const { alignment } = request
  if (alignment?.strategy !== 'token_guidance') return
  if (guidanceElsewhere(alignment)) checkGuidanceElsewhere(alignment, sampling)
  else checkGuidance(engine, request, alignment)
}

/**
 * Guidance chooses among the alternatives that an engine reports, whose probabilities are those of temperature 1,
 * unfiltered.
 * @throws RequestError naming the field under which they are not what tokens are drawn from
 */
function checkGuidance (
  { report: { alternatives } }: RemoteEngine, { sampling, grammar }: GenerateRequest, params: Guidance
): void {
  const { topK, topP, minP, minTokens, logitBias, frequencyPenalty, presencePenalty, repetitionPenalty } = sampling
  const changes: ReadonlyArray<readonly [boolean, string, unknown]> = [
    [sampling.temperature !== 0 && sampling.temperature !== 1, 'temperature', sampling.temperature],
    [topK > 0, 'top_k', topK],
    [topP < 1, 'top_p', topP],
    [minP > 0, 'min_p', minP],
    [minTokens > 0, 'min_tokens', minTokens],
    [Object.keys(logitBias).length > 0, 'logit_bias', logitBias],
    [frequencyPenalty !== 0, 'frequency_penalty', frequencyPenalty],
    [presencePenalty !== 0, 'presence_penalty', presencePenalty],
    [repetitionPenalty !== 1, 'repetition_penalty', repetitionPenalty],
    [grammar !== null, grammar?.param ?? '', grammar?.source.type]
  ]
  const changed = changes.find(([isSet]) => isSet)
  if (changed) {
    throw refuse(changed[1], `${changed[1] === 'temperature' ? 'must be 0 or 1' : 'cannot be given'} with token_guidance ` +
      `on the engine of this model: it tells next tokens as the model has them; got ${JSON.stringify(changed[2])}`)
  }
  if (params.candidates.top_k > alternatives) {
    throw refuse('alignment.candidates.top_k', `must be at most ${alternatives}, as many next tokens as the engine of ` +
      `this model tells; got ${params.candidates.top_k}`)
  }
  for (const side of ['toward', 'away'] as const) {
    const context = params.contrast?.[side]
    if (context && context.model === undefined && (context.system !== undefined || context.prefix !== undefined)) {
      throw refuse(`alignment.contrast.${side}`, 'needs a model of contrast-models: the engine of this model reads an ' +
        'answer in no other context')
    }
  }
}

/**
 * Values of heads come in the places of alternatives, after each token that is drawn.
 * @throws RequestError naming the field that is in the way
 */
export function checkHeads ({ alignment, sampling, grammar }: GenerateRequest): void {
  const because = 'with rewards that the engine of this model computes'
  if (alignment?.strategy === 'token_guidance' && !guidanceElsewhere(alignment)) {
    throw refuse('alignment.source', `must be next_token ${because}; got ${alignment.source as string}`)
  }
  if ((sampling.topLogprobs ?? 0) > 0) throw refuse('top_logprobs', `must be 0 ${because}; got ${sampling.topLogprobs}`)
  if (grammar) throw refuse(grammar.param, `cannot be given ${because}`)
}

/** The form of an answer as an engine is told it. @throws RequestError for one that it cannot be told */
export function structureOf ({ grammar }: Pick<GenerateRequest, 'grammar'>): Structure | null {
  if (!grammar) return null
  const { source, param } = grammar
  switch (source.type) {
    case 'schema': return { type: 'json', schema: source.json }
    case 'grammar': return { type: 'grammar', text: source.text }
    case 'calls': throw refuse(param, 'holds answers to calls of functions, which the engine of this model cannot: ' +
      'set tool_choice to "auto" or "none"')
  }
}
