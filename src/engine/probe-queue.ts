/** Tokens that may come next in a sequence, and who waits for the states after them. Knows no engine. */
import { LayerStates, type HiddenSums } from './hidden-states.js'
import type { States } from './sequence.js'

export interface Probe {
  readonly tokens: readonly number[]
  readonly resolve: (states: States) => void
  readonly reject: (reason: Error) => void
}

/** Probes of one sequence, oldest first. */
export class ProbeQueue {
  #waiting: readonly Probe[] = []

  get isEmpty (): boolean { return this.#waiting.length === 0 }

  /** @param tokens that may come next */
  push (tokens: readonly number[]): Promise<States> {
    return new Promise<States>((resolve, reject) => {
      this.#waiting = [...this.#waiting, { tokens, resolve, reject }]
    })
  }

  /** Those that waited longest, as many as there is room for, in tokens. */
  next (room: number): readonly Probe[] {
    let left = room
    const end = this.#waiting.findIndex(({ tokens: { length } }) => (left -= length) < 0)
    return end < 0 ? this.#waiting : this.#waiting.slice(0, end)
  }

  /**
   * Hands over the states that the sequence would end with.
   * @param probes that have run, the oldest
   * @param sums of the sequence's own positions
   * @param skip tokens of each probe that are not pooled
   * @param hidden of their positions, one after the other, [count, D] by layer
   * @param size D of a hidden state
   * @returns tokens that were run
   */
  resolve (
    probes: readonly Probe[], sums: HiddenSums, skip: number, hidden: ReadonlyMap<number, Float32Array>, size: number
  ): number {
    this.#waiting = this.#waiting.slice(probes.length)
    let first = 0
    for (const { tokens: { length }, resolve } of probes) {
      const own =
        new Map([...hidden].map(([layer, values]) => [layer, values.subarray(first * size, (first + length) * size)]))
      const all = sums.fork()
      all.add(length, skip, own)
      resolve(new LayerStates(all.states(length, own), all.count))
      first += length
    }
    return first
  }

  /** Empties it. @returns who waited */
  clear (): readonly Probe[] {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }
}
