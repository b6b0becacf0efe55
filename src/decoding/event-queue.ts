/** Events from candidates that grow side by side, as one stream. */

/** Pushed to by many, read by one `for await`. */
export class EventQueue<T> implements AsyncIterable<T> {
  readonly #events: T[] = []
  #wake: (() => void) | null = null
  #ended = false
  #failure: { readonly error: unknown } | null = null

  push (event: T): void {
    this.#events.push(event)
    this.#wake?.()
  }

  /** Ends the stream when work is done, with its failure if it fails. */
  endWith (work: Promise<unknown>): void {
    work.catch((error: unknown) => { this.#failure = { error } }).finally(() => {
      this.#ended = true
      this.#wake?.()
    })
  }

  async * [Symbol.asyncIterator] (): AsyncGenerator<T, void, undefined> {
    for (;;) {
      while (this.#events.length > 0) yield this.#events.shift()!
      if (this.#failure) throw this.#failure.error
      if (this.#ended) return
      await new Promise<void>(resolve => { this.#wake = resolve })
      this.#wake = null
    }
  }
}
