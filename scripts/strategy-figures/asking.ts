/** Asks a host for one answer, as a request would. Knows requests, not what is measured. */
import { parseAlignment } from '../../src/decoding/strategies/parameters.js'
import type { DecodeResult } from '../../src/decoding/runtime.js'
import { plainSampling } from '../../src/evaluation/drawing.js'
import { generate } from '../../src/serving/run-request.js'
import type { ServedModel } from '../../src/serving/served-models.js'

export interface Answered { readonly result: DecodeResult, readonly forwardPasses: number, readonly ms: number }

/** @param alignment as a request has it; null draws plainly */
export type Ask =
  (prompt: string, seed: number, alignment: Readonly<Record<string, unknown>> | null) => Promise<Answered>

/** @param ignoreEos whether answers go on past end tokens, to `maxTokens` */
export const asker = (
  host: ServedModel, maxTokens: number, ignoreEos: boolean
): Ask => async (prompt, seed, alignment) => {
  const started = performance.now()
  let result: DecodeResult | undefined
  let forwardPasses = 0
  const events = generate(host, {
    model: host.model.id,
    prompt: {
      messages: [{ role: 'user', content: prompt }],
      addGenerationPrompt: true,
      continueFinalMessage: false,
      truncate: false
    },
    promptLogprobs: null,
    bestOf: null,
    skipSpecialTokens: true,
    n: 1,
    seed,
    cacheSalt: '',
    grammar: null,
    alignment: alignment && parseAlignment(alignment),
    sampling: { ...plainSampling, maxTokens, ignoreEos }
  }, new AbortController().signal)
  for await (const event of events) {
    if (event.type === 'end') result = event.result
    else if (event.type === 'usage') forwardPasses = event.usage.forwardPasses
  }
  return { result: result!, forwardPasses, ms: performance.now() - started }
}
