/**
 * Rules of requests that need no model: between fields, checked once, where a body becomes a request, before it goes to
 * the inference thread; and how many prompt tokens it may have, checked as they are counted.
 */
import { checkChoices, checkTemperature } from '../decoding/strategies/parameter-rules.js'
import { RequestError } from '../errors.js'
import { minTemperature } from '../policies/sampling-params.js'
import type { Config } from '../settings.js'
import { refuse } from '../validation.js'
import type { GenerateRequest } from './protocol.js'

/** @throws RequestError for a prompt that has no place for what a context of guidance changes in it */
export function checkContexts ({ prompt, alignment }: Pick<GenerateRequest, 'prompt' | 'alignment'>): void {
  if (alignment?.strategy !== 'token_guidance') return
  for (const side of ['toward', 'away'] as const) {
    const { system, prefix = '' } = alignment.contrast?.[side] ?? {}
    if (!('messages' in prompt)) {
      if (system === undefined) continue
      throw refuse(`alignment.contrast.${side}.system`,
        'needs messages: a prompt of text or tokens has no system message', system)
    }
    if (prefix !== '' && !prompt.messages.some(({ role }) => role === 'user')) {
      throw refuse(`alignment.contrast.${side}.prefix`, 'needs a user message', prefix)
    }
  }
}

/**
 * The request, if its fields agree with each other; where `temperature` or `top_p` means greedy, the temperature is 0.
 * @throws RequestError naming the field, the rule and the value
 */
export function checkedRequest (request: GenerateRequest): GenerateRequest {
  const { alignment, sampling, n, bestOf } = request
  const isGreedy = sampling.temperature < minTemperature || sampling.topP === 0
  const temperature = isGreedy ? 0 : sampling.temperature
  checkChoices(alignment, bestOf ?? n)
  checkTemperature(alignment, temperature)
  checkContexts(request)
  return { ...request, sampling: { ...sampling, temperature, topP: sampling.topP || 1 } }
}

/**
 * @param tokens of all prompts of a request
 * @param param the field that holds them
 * @throws RequestError budget_exceeded for more than a request may have
 */
export function checkPromptTokens (
  { maxPromptTokensPerRequest: most }: Pick<Config, 'maxPromptTokensPerRequest'>, tokens: number, param: string
): void {
  if (tokens <= most) return
  throw new RequestError('budget_exceeded',
    `a request may have ${most} prompt tokens (max-prompt-tokens-per-request); this one has ${tokens} or more`,
    { param })
}
