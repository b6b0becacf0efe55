/** How waiting prompts are cut into the prefill chunks of a step, callers in turn. Pure, but for whose turn it is. */
import { countByCaller, type Owned } from './fairness.js'

/** New tokens of one sequence that are run together. */
export interface PrefillChunk<S> {
  readonly sequence: S
  /** ≥ 2. */
  readonly numNewTokens: number
}

/** A prompt, or what is left of it. */
interface Waiting extends Owned { readonly numNewTokens: number }

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
export function cutChunks<S extends Pick<Waiting, 'numNewTokens'>> (
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

/** Whose turn it is to have prompts read. */
export class PrefillTurns {
  readonly #minShare: number
  /** The step in which each waiting caller was last served. */
  #servedAt = new Map<string, number>()
  #step = 0

  /** @param minShare tokens of a step that are worth a caller's turn: of more callers some wait for the next one */
  constructor (minShare: number) { this.#minShare = minShare }

  /**
   * Chunks of a step: its budget is shared evenly by the callers that wait, of each the oldest prompts first. None gets
   * more than the one that wants least, or than a turn is worth: the step that reads a short prompt is short.
   * @param waiting as `cutChunks` takes them
   */
  cut<S extends Waiting> (waiting: readonly S[], budget: number, attentionBlock: number): Array<PrefillChunk<S>> {
    const callers = this.#chooseCallers(waiting, Math.max(1, Math.floor(budget / this.#minShare)))
    const ofCallers = callers.map(caller => waiting.filter(sequence => sequence.caller === caller))
    const wanted = ofCallers.map(own => own.reduce((sum, { numNewTokens }) => sum + numNewTokens, 0))
    const most = callers.length > 1 ? Math.max(this.#minShare, Math.min(...wanted)) : budget
    const share = Math.min(most, Math.floor(budget / callers.length))
    return ofCallers.flatMap(own => cutChunks(own, share, attentionBlock))
  }

  /** The callers served in this step: those served longest ago. */
  #chooseCallers (waiting: readonly Waiting[], most: number): string[] {
    this.#step++
    const before = this.#servedAt
    // One that comes anew goes before those served in the last step, behind those that have waited longer.
    this.#servedAt = new Map([...countByCaller(waiting).keys()]
      .map(caller => [caller, before.get(caller) ?? this.#step - 1.5]))
    const chosen = [...this.#servedAt].sort(([, a], [, b]) => a - b).slice(0, most).map(([caller]) => caller)
    for (const caller of chosen) this.#servedAt.set(caller, this.#step)
    return chosen
  }
}
