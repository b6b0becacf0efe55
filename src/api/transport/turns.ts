/** Does work that takes a moment one piece in each turn of the event loop, so that others have theirs in between. */
export class Turns {
  readonly #waiting: Array<() => void> = []

  /** @param work what is done in a later turn, after all that came before; it must not throw */
  take (work: () => void): void {
    if (this.#waiting.push(work) === 1) setImmediate(this.#next)
  }

  readonly #next = (): void => {
    this.#waiting[0]!()
    this.#waiting.shift()
    if (this.#waiting.length > 0) setImmediate(this.#next)
  }
}
