/**
 * Which positions of a sequence have KV and how each was run, and which had KV that was given up: those are run again
 * the same way before anything else is, and end with the same bits. Knows no tokens.
 */
export class ComputedPositions {
  /** How each position that has KV was run. */
  readonly runs: number[]
  /** How the positions behind them were run whose KV was given up. */
  readonly lost: number[]

  /** @param from a sequence's, for its fork */
  constructor (from?: ComputedPositions) {
    this.runs = from ? from.runs.slice() : []
    this.lost = from ? from.lost.slice() : []
  }

  /** Positions that were ever run. */
  get count (): number { return this.runs.length + this.lost.length }

  /** Positions to run again that one chunk may take: those that were run the same way. */
  get nextLost (): number {
    const end = this.lost.findIndex(run => run !== this.lost[0])
    return end < 0 ? this.lost.length : end
  }

  /** So many positions more have KV, run this way. */
  push (count: number, run: number): void {
    for (let i = 0; i < count; i++) this.runs.push(run)
  }

  /** Positions from `length` on have no KV any more. */
  lose (length: number): void { this.lost.unshift(...this.runs.splice(length)) }

  /** The first of those that were given up have KV again. */
  restore (count: number): void { this.runs.push(...this.lost.splice(0, count)) }

  /** Positions from `length` on were never run. */
  cut (length: number): void {
    this.lost.length = Math.max(0, Math.min(this.lost.length, length - this.runs.length))
    this.runs.length = Math.min(this.runs.length, length)
  }
}
