/** The soft limits of one request: tokens over all candidates, and time. */
import type { Runtime, StoppedBy } from './runtime.js'

export class Budget {
  readonly #runtime: Pick<Runtime, 'budget' | 'elapsedMs'>
  #generated = 0
  #stoppedBy: StoppedBy = null

  constructor (runtime: Pick<Runtime, 'budget' | 'elapsedMs'>) { this.#runtime = runtime }

  /** Tokens drawn so far, over all candidates. */
  get generatedTokens (): number { return this.#generated }
  get stoppedBy (): StoppedBy { return this.#stoppedBy }

  /** Takes a token if the limits allow one more. */
  take (): boolean {
    const { maxGeneratedTokens, deadlineMs } = this.#runtime.budget
    if (maxGeneratedTokens !== null && this.#generated >= maxGeneratedTokens) this.#stoppedBy ??= 'max_generated_tokens'
    else if (deadlineMs !== null && this.#runtime.elapsedMs() >= deadlineMs) this.#stoppedBy ??= 'deadline'
    if (this.#stoppedBy !== null) return false
    this.#generated++
    return true
  }
}
