/**
 * A queue in which callers take turns (start-time fair queueing): on a clock of what has been served, an item starts
 * where its caller's last one ends, or now where the caller has none; of one priority the earliest start is served
 * first. A caller's own items keep their order, and one that asks for little waits for little of anybody else's. Pure.
 */

/** How an item is queued. */
export interface Turn {
  /** Whose it is. */
  readonly caller: string
  /** What serving it takes, in any unit. */
  readonly cost: number
  /** Lower ones are served first, whoever asks. */
  readonly priority: number
}

interface Entry<T> { readonly item: T, readonly turn: Turn, readonly start: number }

export class FairQueue<T> implements Iterable<T> {
  /** In the order in which they are served. */
  readonly #entries: Array<Entry<T>> = []
  /** Of every caller with items here, and the one served last: how many, and where the last one ends. */
  readonly #callers = new Map<string, { waiting: number, end: number }>()
  #clock = 0
  #served = ''

  get length (): number { return this.#entries.length }

  /** The item to be served next. */
  get first (): T | undefined { return this.#entries[0]?.item }

  /** Items of one caller. */
  waitingOf (caller: string): number { return this.#callers.get(caller)?.waiting ?? 0 }

  /** The items, the one to be served next first. */
  * [Symbol.iterator] (): Generator<T, void, undefined> { for (const { item } of [...this.#entries]) yield item }

  add (item: T, turn: Turn): void {
    const { waiting, end } = this.#callers.get(turn.caller) ?? { waiting: 0, end: 0 }
    const start = Math.max(this.#clock, end)
    this.#callers.set(turn.caller, { waiting: waiting + 1, end: start + turn.cost })
    const isLater = ({ start: other, turn: { priority } }: Entry<T>): boolean =>
      priority > turn.priority || (priority === turn.priority && other > start)
    // From the end, where a caller's own next one goes: one request may bring thousands.
    let at = this.#entries.length
    while (at > 0 && isLater(this.#entries[at - 1]!)) at--
    this.#entries.splice(at, 0, { item, turn, start })
  }

  /** Takes an item out that is served now. */
  serve (item: T): void {
    const entry = this.#remove(item)
    if (!entry) return
    this.#clock = Math.max(this.#clock, entry.start)
    const before = this.#served
    this.#served = entry.turn.caller
    this.#forget(before)
  }

  /** Takes an item out that is not served. */
  delete (item: T): void {
    const entry = this.#remove(item)
    if (entry) this.#forget(entry.turn.caller)
  }

  /** Takes all out. @returns them, the one that would have been served next first */
  clear (): readonly T[] {
    const all = [...this]
    for (const item of all) this.delete(item)
    return all
  }

  #remove (item: T): Entry<T> | undefined {
    const at = this.#entries.findIndex(entry => entry.item === item)
    if (at < 0) return undefined
    const [entry] = this.#entries.splice(at, 1)
    this.#callers.get(entry!.turn.caller)!.waiting--
    return entry
  }

  #forget (caller: string): void {
    if (caller !== this.#served && this.waitingOf(caller) === 0) this.#callers.delete(caller)
  }
}
