/**
 * One step at a time on the CPU: the engines of a process acquire the lock in FIFO order, each for a step with all
 * threads. Two at once would oversubscribe the cores. Knows no engines.
 */
export class ComputeLock {
  readonly #waiting: Array<() => void> = []
  #busy = false

  /** Whether another engine waits: the holder should release it soon. */
  get isWanted (): boolean { return this.#waiting.length > 0 }

  /** Runs a function while holding the lock. */
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
