/** How waiting prompts are cut into the prefill chunks of a step. Pure. */

/** New tokens of one sequence that are run together. */
export interface PrefillChunk<S> {
  readonly sequence: S
  /** ≥ 2. */
  readonly numNewTokens: number
}

/**
 * Tokens of a chunk: as many as the budget allows where none is alone in its block of attention and none is left behind
 * alone.
 */
function chunkSize (waiting: number, budget: number, block: number): number {
  for (let size = Math.min(waiting, budget); size >= 2; size--) {
    if (size % block !== 1 && waiting - size !== 1) return size
  }
  return waiting
}

/**
 * Prefill chunks within a budget of tokens, oldest first. However a prompt is cut into them, its bits are the same.
 * @param waiting sequences that wait for two tokens or more, oldest first
 * @param attentionBlock see SchedulingProfile
 */
export function cutChunks<S extends { readonly numNewTokens: number }> (
  waiting: readonly S[], budget: number, attentionBlock: number
): Array<PrefillChunk<S>> {
  const chunks: Array<PrefillChunk<S>> = []
  let left = budget
  for (const sequence of waiting) {
    if (left < 2) break
    const numNewTokens = chunkSize(sequence.numNewTokens, left, attentionBlock)
    chunks.push({ sequence, numNewTokens })
    left -= numNewTokens
  }
  return chunks
}
