/** Stop strings on text as it comes: cuts before the first, holds back what may become one. Knows no tokens. */

/** Text of one answer so far. */
export class StopText {
  readonly #stops: readonly string[]
  readonly #longest: number
  readonly #includeStop: boolean
  #text: string
  #stopped = false

  /** @param includeStop whether the text is cut after the stop string instead of before it */
  constructor (stops: readonly string[], includeStop = false, text = '') {
    this.#stops = stops
    this.#includeStop = includeStop
    this.#longest = Math.max(0, ...stops.map(stop => stop.length))
    this.#text = text
  }

  /** All text, cut at the stop string if one was met. */
  get text (): string { return this.#text }
  get stopped (): boolean { return this.#stopped }

  /** Length of the text that no stop string can take back any more. */
  get certainLength (): number {
    if (this.#stopped) return this.#text.length
    for (let held = Math.min(this.#longest - 1, this.#text.length); held > 0; held--) {
      const tail = this.#text.slice(-held)
      if (this.#stops.some(stop => stop.startsWith(tail))) return this.#text.length - held
    }
    return this.#text.length
  }

  /**
   * Adds text. Of several stop strings the one that begins first wins, then the shortest.
   * @returns whether one was met
   */
  push (text: string): boolean {
    const from = Math.max(0, this.#text.length - this.#longest + 1)
    this.#text += text
    const found = this.#stops.map(stop => ({ at: this.#text.indexOf(stop, from), length: stop.length }))
      .filter(({ at }) => at >= 0)
    const [first] = found.sort((a, b) => a.at - b.at || a.length - b.length)
    if (first) {
      this.#text = this.#text.slice(0, first.at + (this.#includeStop ? first.length : 0))
      this.#stopped = true
    }
    return this.#stopped
  }

  fork (): StopText { return new StopText(this.#stops, this.#includeStop, this.#text) }
}
