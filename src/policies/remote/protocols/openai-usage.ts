/** `usage` as OpenAI's API and those made after it have it. */
import type { EngineUsage } from '../engine-call.js'
import { countOf, fieldsOf } from '../fields.js'

/** Null where there is none. @throws Error for what is no usage */
export function openaiUsage (value: unknown): EngineUsage | null {
  if (value === undefined || value === null) return null
  const usage = fieldsOf(value, 'usage')
  const details = usage['prompt_tokens_details'] ?? null
  const cached = details === null ? null : fieldsOf(details, 'prompt_tokens_details')['cached_tokens']
  const promptTokens = countOf(usage['prompt_tokens'], 'usage.prompt_tokens')
  return promptTokens === null ? null : { promptTokens, cachedTokens: countOf(cached, 'cached_tokens') }
}
