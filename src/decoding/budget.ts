/**
 * The soft limits of one request: tokens over all candidates, and time. Who may draw how many of the tokens is
 * `budget-split.ts`.
 */
import type { DecodingRequest } from './request.js'
import type { StoppedBy } from './result.js'

export class Budget {
  readonly #request: Pick<DecodingRequest, 'limits' | 'elapsedMs' | 'used'>
  readonly #max: number
  /** What it is a part of. */
  readonly #whole: Budget | null
  #generated = 0
  #stoppedBy: StoppedBy = null

  constructor (
    request: Pick<DecodingRequest, 'limits' | 'elapsedMs' | 'used'>,
    max = request.limits.maxGeneratedTokens ?? Infinity, whole: Budget | null = null
  ) {
    this.#request = request
    this.#max = max
    this.#whole = whole
  }

  /** Tokens drawn so far, over all candidates. */
  get generatedTokens (): number { return this.#generated }
  /** Tokens that may still be drawn; Infinity where nothing limits them. */
  get left (): number { return this.#max - this.#generated }
  get stoppedBy (): StoppedBy { return this.#stoppedBy }

  /** The tokens left, split evenly, the first getting one more where they do not divide. */
  parts (count: number): number[] {
    const { left } = this
    if (left === Infinity) return new Array<number>(count).fill(Infinity)
    return Array.from({ length: count }, (_, index) => Math.floor(left / count) + (index < left % count ? 1 : 0))
  }

  /** Budgets of their own for `count` parts that go on independently; what they use is used of this one. */
  split (count: number): Budget[] {
    return this.parts(count).map(part => new Budget(this.#request, part, this))
  }

  /** Whether the limits allow no more; if so, remembers which. */
  isUsedUp (): boolean {
    if (this.left <= 0) this.#stop('max_generated_tokens')
    else this.isPastDeadline()
    return this.#stoppedBy !== null
  }

  isPastDeadline (): boolean {
    const { deadlineMs } = this.#request.limits
    if (deadlineMs === null || this.#request.elapsedMs() < deadlineMs) return false
    this.#stop('deadline')
    return true
  }

  #stop (by: StoppedBy): void {
    this.#stoppedBy ??= by
    if (this.#whole) this.#whole.#stoppedBy ??= by
  }

  /** Counts a token that was drawn. */
  use (): void {
    this.#generated++
    this.#request.used.generatedTokens++
    if (this.#whole) this.#whole.#generated++
  }
}
