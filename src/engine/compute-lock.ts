/**
 * One step at a time on the processor: engines of one process take the lock in the order in which they asked, each for
 * a step with all threads. Two at once would have twice the threads that there are cores. Knows no engines.
 */
export class ComputeLock {
  readonly #waiting: Array<() => void> = []
  #busy = false

  /** Whether somebody waits: whoever holds the lock should make it short. */
  get isWanted (): boolean { return this.#waiting.length > 0 }

  /** Runs something when it is its turn. */
  async inTurn<T> (run: () => Promise<T>): Promise<T> {
    if (this.#busy) await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    this.#busy = true
    try {
      return await run()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#busy = false
    }
  }
}
