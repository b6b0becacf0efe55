/**
 * Logprobs of a prompt's own tokens: it is read once more, whole, with the logits of every position; what is read stays
 * for the answer.
 */
import { tokenLogprob } from '../policies/local/token-logprob.js'
import type { TokenLogprob } from '../policies/drawn-token.js'
import type { ComputeLedger } from '../engine/sequence.js'
import type { ModelRuntime } from '../engine/model-runtime.js'
import type { PromptLogprobs } from './protocol.js'

/**
 * Logprobs of a prompt's tokens, one per token, the first one's null.
 * @param top alternatives per token, 0–20
 * @param ledger what the reading took
 */
export async function promptLogprobs (
  { engine, model }: ModelRuntime, tokens: readonly number[], top: number,
  options: {
    readonly caller?: string, readonly salt: string, readonly signal: AbortSignal, readonly ledger: ComputeLedger
  }
): Promise<PromptLogprobs> {
  const { tokenizer } = model
  const rated: TokenLogprob[] = []
  const sequence = engine.open(tokens, {
    ...options,
    // Every position is wanted, those too whose KV is there already.
    poolFrom: 0,
    onPosition: (position, distribution) => {
      const next = tokens[position + 1]
      if (next !== undefined) {
        rated.push(tokenLogprob(token => tokenizer.writtenBytes(token), distribution, next, top))
      }
    }
  })
  try {
    await sequence.output()
  } finally {
    sequence.close()
  }
  return [{ bytes: [...tokenizer.writtenBytes(tokens[0]!)], logprob: null }, ...rated]
}
