/**
 * Which slots are taken. A free slot remembers what its last owner left, so that a sequence forked again and again, as
 * for look-aheads, copies only the positions that differ. Slots are taken only between runs: a run in flight may write
 * into free ones.
 */
import { commonLength, type History } from '../history.js'

const nothing: History = { tokens: [], runs: [] }

/** Which slots are taken, and what free ones still hold. */
export class SlotTable {
  readonly #minReusedShare: number
  /** Per slot what a free one was left with, or null while it is taken. */
  readonly #residue: Array<History | null>
  /** Sequences that are to be copied from a slot; it is not reused before they are. */
  readonly #pins: number[]
  /** Positions of each slot that have memory, whichever sequence holds it now. */
  readonly #touched: number[]

  /** @param minReusedShare of what is wanted that a slot must hold, to be taken though there are lower ones */
  constructor (count: number, minReusedShare: number) {
    this.#minReusedShare = minReusedShare
    this.#touched = new Array<number>(count).fill(0)
    this.#residue = new Array<History | null>(count).fill(nothing)
    this.#pins = new Array<number>(count).fill(0)
  }

  get count (): number { return this.#residue.length }

  /** Positions a free slot was left with; null for a slot that is taken. */
  leftLength (slot: number): number | null {
    return this.#residue[slot]?.runs.length ?? null
  }

  /** Positions whose memory former owners left in slots, all together. */
  get touchedTokens (): number { return this.#touched.reduce((sum, touched) => sum + touched, 0) }

  /** The lowest slot in [start, end) that can be taken; null where there is none. */
  firstFree (start: number, end: number): number | null {
    for (let slot = start; slot < end; slot++) if (this.#residue[slot] !== null && this.#pins[slot] === 0) return slot
    return null
  }

  /**
   * Neighbouring slots that are some sequences' own or can be taken: those with the most of their own, the lowest of
   * them.
   * @param size how many, within one slab of `slab` slots
   * @param own slots of the sequences to be placed there
   * @returns the first one; null where there are none
   */
  window (size: number, slab: number, own: ReadonlySet<number>): number | null {
    let best: { start: number, owned: number } | null = null
    for (let [slot, run, owned] = [0, 0, 0]; slot < this.count; slot++) {
      if (slot % slab === 0) [run, owned] = [0, 0]
      if (!own.has(slot) && (this.#residue[slot] === null || this.#pins[slot]! > 0)) {
        [run, owned] = [0, 0]
        continue
      }
      run++
      if (own.has(slot)) owned++
      if (run > size && own.has(slot - size)) owned--
      if (run >= size && owned > (best?.owned ?? -1)) best = { start: slot - size + 1, owned }
    }
    return best && best.start
  }

  pin (slot: number): void { this.#pins[slot]!++ }
  unpin (slot: number): void { this.#pins[slot]!-- }
  pins (slot: number): number { return this.#pins[slot]! }

  /**
   * Takes a free slot: one that holds nearly all of `wanted` already, else the lowest, so that open sequences are
   * neighbours and decode in one batch.
   * @returns the slot and how many leading positions of `wanted` it holds; null where every slot is taken
   */
  take (wanted: History): { slot: number, length: number } | null {
    const worthwhile = Math.max(1, this.#minReusedShare * wanted.runs.length)
    let best: { slot: number, length: number } | null = null
    for (const [slot, residue] of this.#residue.entries()) {
      if (residue === null || this.#pins[slot]! > 0) continue
      const length = commonLength(residue, wanted)
      if (!best || (length >= worthwhile && length > best.length)) best = { slot, length }
    }
    if (best) this.#residue[best.slot] = null
    return best
  }

  /** Takes a slot that is free, whatever it holds. */
  takeSlot (slot: number): void { this.#residue[slot] = null }

  /** Gives a slot back with what it holds. */
  free (slot: number, residue: History): void {
    this.#residue[slot] = residue
    this.#touched[slot] = Math.max(this.#touched[slot]!, residue.runs.length)
  }

  /** Forgets what a free slot holds: its memory is gone. */
  empty (slot: number): void {
    this.#residue[slot] = nothing
    this.#touched[slot] = 0
  }
}
