/** A queue in which callers take turns: one of each caller's, first come first, then again from the first caller on. */

/** What waits, by caller. */
export class Turns<T> {
  /** The caller whose turn it is first. */
  readonly #waiting = new Map<string, T[]>()
  #size = 0

  get size (): number { return this.#size }

  /** What waits of a caller's. */
  of (caller: string): readonly T[] { return this.#waiting.get(caller) ?? [] }

  add (caller: string, one: T): void {
    this.#size++
    const own = this.#waiting.get(caller)
    if (own) own.push(one)
    else this.#waiting.set(caller, [one])
  }

  /** Takes the one whose turn it is; undefined where none waits. */
  next (): T | undefined {
    const [first] = this.#waiting
    if (!first) return undefined
    const [caller, own] = first
    const one = own.shift()
    this.#size--
    this.#waiting.delete(caller)
    if (own.length > 0) this.#waiting.set(caller, own)
    return one
  }

  /** Takes those of a caller's that are meant. */
  remove (caller: string, isMeant: (one: T) => boolean): readonly T[] {
    const own = this.of(caller)
    const removed = own.filter(isMeant)
    if (removed.length === 0) return []
    this.#size -= removed.length
    const others = own.filter(one => !isMeant(one))
    if (others.length > 0) this.#waiting.set(caller, others)
    else this.#waiting.delete(caller)
    return removed
  }

  /** Takes all. */
  clear (): readonly T[] {
    const all = [...this.#waiting.values()].flat()
    this.#waiting.clear()
    this.#size = 0
    return all
  }
}
