/** Does work that takes a moment one piece in each turn of the event loop, so that others have theirs in between. */
export class Turns {
  readonly #waiting: Array<() => void> = []
  #isScheduled = false

  get isEmpty (): boolean { return this.#waiting.length === 0 }

  /** @param work what is done in a later turn, after all that came before */
  take (work: () => void): void {
    this.#waiting.push(work)
    this.#schedule()
  }

  #schedule (): void {
    if (this.#isScheduled || this.isEmpty) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      const work = this.#waiting.shift()!
      // First, so that the others have their turns whatever becomes of this one.
      this.#schedule()
      work()
    })
  }
}
