/**
 * Takes turns on the processor's cores: engines of one process step one after the other, each step with all threads, in
 * the order in which they asked. Two at once would have twice the threads that there are cores. Knows no engines.
 */
export class Cores {
  readonly #waiting: Array<() => void> = []
  #busy = false

  /** Whether somebody waits: whoever holds the cores should make it short. */
  get isWanted (): boolean { return this.#waiting.length > 0 }

  /** Runs something when it is its turn. */
  async inTurn<T> (run: () => Promise<T>): Promise<T> {
    if (this.#busy) await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    this.#busy = true
    try {
      return await run()
    } finally {
      this.#give()
    }
  }

  #give (): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#busy = false
  }
}
