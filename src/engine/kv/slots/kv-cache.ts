/**
 * Keys and values of every sequence, in slots: per layer a buffer [slots, kv heads, capacity, head size] for keys and
 * one for values, written in place by the attention operator. Slots come in slabs: the first is reserved at once, the
 * others when they are needed; a contiguous range of slots of one slab is one batch. Knows who owns a slot not at all.
 */
import { RequestError } from '../../../errors.js'
import type { DecoderConfig } from '../../../models/decoder-config.js'
import { partName } from '../../../models/graph/run-shape.js'
import { Tensor } from '../../../runtime/tensor.js'

/** Slots per slab: also the largest decode batch. */
export const slotsPerSlab = 32

/** Which slab a slot is in. */
export const slabOf = (slot: number): number => Math.floor(slot / slotsPerSlab)

/** Bytes of keys and values of one position. */
export const kvBytesPerToken = ({ layers, kvHeads, headSize }: DecoderConfig): number =>
  2 * layers * kvHeads * headSize * Float32Array.BYTES_PER_ELEMENT

/** Tensors over a part's range of slots, by graph name: `past_*` to feed and, the same memory, `present_*` to fetch. */
export interface KvViews { readonly past: ReadonlyMap<string, Tensor>, readonly present: ReadonlyMap<string, Tensor> }

/**
 * KV of a prompt that rows share, as the shared-prefix graph reads it. Whoever uses it holds it; its memory goes with
 * the last holder.
 */
export class SharedPrompt {
  readonly length: number
  /** [kv heads, length, head size] per layer: keys of all, then values of all. */
  readonly tensors: readonly Tensor[]
  #holders = 1

  constructor (length: number, tensors: readonly Tensor[]) {
    this.length = length
    this.tensors = tensors
  }

  hold (): this {
    this.#holders++
    return this
  }

  release (): void {
    if (--this.#holders === 0) for (const tensor of this.tensors) tensor.dispose()
  }
}

/** Keys of each layer, then values of each, [slots, kv heads, capacity, head size]. */
type Slab = readonly Tensor[]

/**
 * Views are kept, since a step would otherwise make 2 · layers of them for each part; past this many the one unused
 * longest goes.
 */
const largestViewCount = 256

/** The KV memory of one engine, by slot. */
export class KvCache {
  readonly capacity: number
  readonly #config: DecoderConfig
  readonly #slabs: Slab[] = []
  readonly #views = new Map<string, KvViews>()
  readonly #onProblem: (message: string) => void
  /** Whether the system refused a slab: it is not asked again. */
  #isRefused = false

  /**
   * @param capacity tokens a slot can hold
   * @param onProblem told when there is no memory for more slots than there are
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
   * Tensors over `count` slots from `slot` on, for a part of a run; they must lie in one slab.
   * @param most layers that are run, from the first on
   */
  views (slot: number, count: number, part: number, most = this.#config.layers): KvViews {
    const key = `${slot},${count},${part},${most}`
    const known = this.#views.get(key)
    if (known) {
      this.#views.delete(key)
      this.#views.set(key, known)
      return known
    }
    if (this.#views.size >= largestViewCount) this.#disposeViews(this.#views.keys().next().value!)
    const { kvHeads, headSize, layers } = this.#config
    const [past, present] = [new Map<string, Tensor>(), new Map<string, Tensor>()]
    for (const [index, buffer] of this.#buffers(slot).entries()) {
      if (index % layers >= most) continue
      const view = buffer.view(slot % slotsPerSlab * this.#slotSize, [count, kvHeads, this.capacity, headSize])
      const name = `${index < layers ? 'key' : 'value'}_${index % layers}`
      past.set(partName(part, `past_${name}`), view)
      present.set(partName(part, `present_${name}`), view)
    }
    const views = { past, present }
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

  /** A copy of a slot's first positions that rows can share. Held once. */
  sharedPrompt (slot: number, length: number): SharedPrompt {
    const size = length * this.#width
    return new SharedPrompt(length, this.#buffers(slot).map(buffer => {
      const copy = Tensor.allocate('float32', [this.#config.kvHeads, length, this.#width])
      for (const [head, row] of this.#rows(slot).entries()) copy.copy(head * size, buffer, row, size)
      return copy
    }))
  }

  /** The shape of packed positions: [2 · layers, kv heads, count, head size]. */
  packedDims (count: number): readonly [number, number, number,
    number] { return [2 * this.#config.layers, this.#config.kvHeads, count, this.#width] }

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
  setAside (slot: number, count: number): Float32Array {
    const aside = new Float32Array(this.packedDims(count).reduce((product, dim) => product * dim))
    this.#borrow(aside, packed => { this.read(slot, 0, packed) })
    return aside
  }

  /** Writes the first `count` positions of what was set aside to a slot. */
  putBack (slot: number, aside: Float32Array, count: number): void {
    this.#borrow(aside, packed => { this.write(slot, 0, packed, count) })
  }

  #borrow (aside: Float32Array, use: (packed: Tensor) => void): void {
    const [buffers, heads,, width] = this.packedDims(0)
    const packed = Tensor.from('float32', [buffers, heads, aside.length / (buffers * heads * width), width], aside)
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
    for (const view of this.#views.get(key)!.past.values()) view.dispose()
    this.#views.delete(key)
  }

  dispose (): void {
    for (const key of [...this.#views.keys()]) this.#disposeViews(key)
    for (const buffer of this.#slabs.splice(0).flat()) buffer.dispose()
  }
}
