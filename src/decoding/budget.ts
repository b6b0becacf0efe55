/**
 * The soft limits of one request: tokens over all candidates, and time. Who may draw how many of the tokens is
 * `budget-split.ts`.
 */
import type { Runtime, StoppedBy } from './runtime.js'

export class Budget {
  readonly #runtime: Pick<Runtime, 'budget' | 'elapsedMs' | 'drawn'>
  readonly #most: number
  /** What it is a part of. */
  readonly #whole: Budget | null
  #generated = 0
  #stoppedBy: StoppedBy = null

  constructor (
    runtime: Pick<Runtime, 'budget' | 'elapsedMs' | 'drawn'>, most = runtime.budget.maxGeneratedTokens ?? Infinity,
    whole: Budget | null = null
  ) {
    this.#runtime = runtime
    this.#most = most
    this.#whole = whole
  }

  /** Tokens drawn so far, over all candidates. */
  get generatedTokens (): number { return this.#generated }
  get stoppedBy (): StoppedBy { return this.#stoppedBy }

  /**
   * The tokens left, shared out evenly, the first getting one more where they do not divide. Infinity where nothing
   * limits them.
   */
  shares (count: number): number[] {
    const left = this.#most - this.#generated
    if (left === Infinity) return new Array<number>(count).fill(Infinity)
    return Array.from({ length: count }, (_, index) => Math.floor(left / count) + (index < left % count ? 1 : 0))
  }

  /** Budgets of their own for `count` parts that go on independently; what they take is taken of this one. */
  split (count: number): Budget[] {
    return this.shares(count).map(share => new Budget(this.#runtime, share, this))
  }

  /** Whether the limits allow no more; if so, remembers which. */
  isSpent (): boolean {
    const { deadlineMs } = this.#runtime.budget
    if (this.#generated >= this.#most) this.#stop('max_generated_tokens')
    else if (deadlineMs !== null && this.#runtime.elapsedMs() >= deadlineMs) this.#stop('deadline')
    return this.#stoppedBy !== null
  }

  #stop (by: StoppedBy): void {
    this.#stoppedBy ??= by
    if (this.#whole) this.#whole.#stoppedBy ??= by
  }

  /** Takes a token if the limits allow one more. */
  take (): boolean {
    if (this.isSpent()) return false
    this.#generated++
    this.#runtime.drawn.generatedTokens++
    if (this.#whole) this.#whole.#generated++
    return true
  }
}
