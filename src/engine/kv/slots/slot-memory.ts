/**
 * The memory of slots: per layer a buffer [slots, kv heads, capacity, head size] for keys and one for values, written
 * in place by the attention operator. Slots come in slabs: the first is reserved at once, the others when they are
 * needed; a contiguous range of slots of one slab is one batch. Does not know who holds a slot.
 */
import { RequestError } from '../../../errors.js'
import type { DecoderConfig } from '../../../models/decoder-config.js'
import { Tensor } from '../../../runtime/tensor.js'
import { SharedPrompt } from './shared-prompt.js'

/** Slots per slab: also the largest decode batch. */
export const slotsPerSlab = 32

/** Which slab a slot is in. */
export const slabOf = (slot: number): number => Math.floor(slot / slotsPerSlab)

/** Bytes of keys and values of one position. */
export const kvBytesPerToken = ({ layers, kvHeads, headSize }: DecoderConfig): number =>
  2 * layers * kvHeads * headSize * Float32Array.BYTES_PER_ELEMENT

/** Tensors over a range of slots, [slots, kv heads, capacity, head size] by layer. */
export interface KvViews { readonly keys: readonly Tensor[], readonly values: readonly Tensor[] }

/** Keys of each layer, then values of each, [slots, kv heads, capacity, head size]. */
type Slab = readonly Tensor[]

/**
 * Views are kept, since each pass would otherwise make 2 · layers of them; past this many the one unused longest goes.
 */
const maxViews = 256

export class SlotMemory {
  readonly capacity: number
  readonly #config: DecoderConfig
  readonly #slabs: Slab[] = []
  readonly #views = new Map<string, KvViews>()
  readonly #onProblem: (message: string) => void
  /** Whether the system refused a slab: it is not asked again. */
  #isRefused = false

  /**
   * @param capacity tokens a slot can hold
   * @param onProblem called when there is no memory for more slots
   * @throws RequestError where there is none for the first slab
   */
  constructor (config: DecoderConfig, capacity: number, onProblem: (message: string) => void) {
    this.#config = config
    this.capacity = capacity
    this.#onProblem = onProblem
    if (!this.reserve(0)) throw new RequestError('invalid_request', this.#refusal)
  }

  /** Elements of one slot in one buffer. */
  get #slotSize (): number { return this.#config.kvHeads * this.capacity * this.#config.headSize }

  /** Reserves what a slot needs, if that has not been done. @returns whether the slot can be used */
  reserve (slot: number): boolean {
    while (!this.#isRefused && this.#slabs.length <= slabOf(slot)) {
      const slab = this.#allocate()
      if (slab) {
        this.#slabs.push(slab)
        continue
      }
      this.#isRefused = true
      if (this.#slabs.length > 0) {
        this.#onProblem(`no more than ${this.#slabs.length * slotsPerSlab} sequences run at the same time: ` +
          `${this.#refusal}`)
      }
    }
    return slabOf(slot) < this.#slabs.length
  }

  /** Memory for a slab; null where the system refuses it. */
  #allocate (): Slab | null {
    const buffers: Tensor[] = []
    try {
      while (buffers.length < 2 * this.#config.layers) {
        buffers.push(Tensor.allocate('float32', [slotsPerSlab, this.#config.kvHeads, this.capacity, this.#width]))
      }
      return buffers
    } catch {
      for (const buffer of buffers) buffer.dispose()
      return null
    }
  }

  get #refusal (): string {
    return `the KV of ${slotsPerSlab} sequences of ${this.capacity} tokens needs ${2 * this.#config.layers} buffers ` +
      `of ${slotsPerSlab * this.#slotSize * Float32Array.BYTES_PER_ELEMENT} bytes, and the system refuses to ` +
      'reserve them'
  }

  /** The buffers of a slot's slab. */
  #buffers (slot: number): Slab { return this.#slabs[slabOf(slot)]! }

  /**
   * Tensors over `count` slots from `slot` on; they must lie in one slab.
   * @param depth layers, from the first on
   */
  views (slot: number, count: number, depth = this.#config.layers): KvViews {
    const key = `${slot},${count},${depth}`
    const known = this.#views.get(key)
    if (known) {
      this.#views.delete(key)
      this.#views.set(key, known)
      return known
    }
    if (this.#views.size >= maxViews) this.#disposeViews(this.#views.keys().next().value!)
    const { kvHeads, headSize, layers } = this.#config
    const over = (from: number): Tensor[] => this.#buffers(slot).slice(from, from + depth).map(buffer =>
      buffer.view(slot % slotsPerSlab * this.#slotSize, [count, kvHeads, this.capacity, headSize]))
    const views = { keys: over(0), values: over(layers) }
    this.#views.set(key, views)
    return views
  }

  /** Copies positions [start, end) of one slot to another. */
  copy (source: number, target: number, start: number, end: number): void {
    if (source === target || start >= end) return
    const targets = this.#buffers(target)
    const [from, to] = [this.#rows(source), this.#rows(target)]
    for (const [index, buffer] of this.#buffers(source).entries()) {
      for (const [head, row] of from.entries()) {
        targets[index]!.copy(to[head]! + start * this.#width, buffer, row + start * this.#width,
          (end - start) * this.#width)
      }
    }
  }

  /** A copy of a slot's first positions that sequences can share. */
  sharedPrompt (slot: number, length: number): SharedPrompt {
    const size = length * this.#width
    return new SharedPrompt(length, this.#buffers(slot).map(buffer => {
      const copy = Tensor.allocate('float32', [this.#config.kvHeads, length, this.#width])
      for (const [head, row] of this.#rows(slot).entries()) copy.copy(head * size, buffer, row, size)
      return copy
    }))
  }

  /** The shape of packed positions: [2 · layers, kv heads, count, head size]. */
  packedDims (count: number): readonly [number, number, number, number] {
    return [2 * this.#config.layers, this.#config.kvHeads, count, this.#width]
  }

  /** Packs positions of a slot from `start` on, as many as there is room for. */
  read (slot: number, start: number, packed: Tensor): void {
    const size = packed.dims[2]! * this.#width
    for (const [index, buffer] of this.#buffers(slot).entries()) {
      for (const [head, row] of this.#rows(slot).entries()) {
        packed.copy((index * this.#config.kvHeads + head) * size, buffer, row + start * this.#width, size)
      }
    }
  }

  /** Writes the first `count` of packed positions to a slot, from position `start` on. */
  write (slot: number, start: number, packed: Tensor, count: number): void {
    const size = packed.dims[2]! * this.#width
    for (const [index, buffer] of this.#buffers(slot).entries()) {
      for (const [head, row] of this.#rows(slot).entries()) {
        buffer.copy(row + start * this.#width, packed, (index * this.#config.kvHeads + head) * size,
          count * this.#width)
      }
    }
  }

  /** A slot's first positions, packed, in memory that goes with the last who refers to it. */
  swapOut (slot: number, count: number): Float32Array {
    const swapped = new Float32Array(this.packedDims(count).reduce((product, dim) => product * dim))
    this.#borrow(swapped, packed => { this.read(slot, 0, packed) })
    return swapped
  }

  /** Writes the first `count` positions of what was swapped out to a slot. */
  swapIn (slot: number, swapped: Float32Array, count: number): void {
    this.#borrow(swapped, packed => { this.write(slot, 0, packed, count) })
  }

  #borrow (swapped: Float32Array, use: (packed: Tensor) => void): void {
    const [buffers, heads,, width] = this.packedDims(0)
    const packed = Tensor.from('float32', [buffers, heads, swapped.length / (buffers * heads * width), width], swapped)
    use(packed)
    packed.dispose()
  }

  /** Gives the memory of a free slot back to the system, where the system takes it. */
  discard (slot: number): void {
    for (const buffer of this.#buffers(slot)) buffer.discard(slot % slotsPerSlab * this.#slotSize, this.#slotSize)
  }

  /** Elements of a position in one head. */
  get #width (): number { return this.#config.headSize }

  /** Where each head of a slot begins in a buffer, elements. */
  #rows (slot: number): number[] {
    return Array.from({ length: this.#config.kvHeads }, (_, head) =>
      (slot % slotsPerSlab * this.#config.kvHeads + head) * this.capacity * this.#width)
  }

  #disposeViews (key: string): void {
    const { keys, values } = this.#views.get(key)!
    for (const view of [...keys, ...values]) view.dispose()
    this.#views.delete(key)
  }

  dispose (): void {
    for (const key of [...this.#views.keys()]) this.#disposeViews(key)
    for (const buffer of this.#slabs.splice(0).flat()) buffer.dispose()
  }
}
