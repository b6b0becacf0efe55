/**
 * Keys and values of every sequence, in slots: per layer one buffer [slots, kv heads, capacity, head size] for keys and one for
 * values, written in place by the attention operator. Slots come in slabs, so that memory is reserved as it is needed; a
 * contiguous range of slots of one slab is one batch. Knows who owns a slot not at all.
 */
import type { DecoderConfig } from '../models/decoder-config.js'
import { partName } from '../models/run-shape.js'
import { Tensor } from '../runtime/tensor.js'

/** Slots per slab: also the largest decode batch. */
export const slotsPerSlab = 32

/** Bytes of keys and values of one position. */
export const kvBytesPerToken = ({ layers, kvHeads, headSize }: DecoderConfig): number => 2 * layers * kvHeads * headSize * Float32Array.BYTES_PER_ELEMENT

/** Tensors over a part's range of slots, by graph name: `past_*` to feed and, the same memory, `present_*` to fetch. */
export interface KvViews { readonly past: ReadonlyMap<string, Tensor>, readonly present: ReadonlyMap<string, Tensor> }

/** KV of a prompt that rows share, as the shared-prefix graph reads it. Whoever uses it holds it; its memory goes with the last holder. */
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

interface Slab { readonly keys: readonly Tensor[], readonly values: readonly Tensor[] }

/** Views are kept, since a step would otherwise make 2 · layers of them for each part; past this many the one unused longest goes. */
const largestViewCount = 256

export class KvCache {
  readonly capacity: number
  readonly #config: DecoderConfig
  readonly #slabs: Slab[] = []
  readonly #views = new Map<string, KvViews>()

  /** @param capacity tokens a slot can hold */
  constructor (config: DecoderConfig, capacity: number) {
    this.#config = config
    this.capacity = capacity
  }

  /** Elements of one slot in one buffer. */
  get #slotSize (): number { return this.#config.kvHeads * this.capacity * this.#config.headSize }

  #slab (index: number): Slab {
    const { kvHeads, headSize, layers } = this.#config
    while (this.#slabs.length <= index) {
      const buffers = (): Tensor[] => Array.from({ length: layers }, () => Tensor.allocate('float32', [slotsPerSlab, kvHeads, this.capacity, headSize]))
      this.#slabs.push({ keys: buffers(), values: buffers() })
    }
    return this.#slabs[index]!
  }

  /** Tensors over `count` slots from `slot` on, for a part of a run; they must lie in one slab. */
  views (slot: number, count: number, part: number): KvViews {
    const key = `${slot},${count},${part}`
    const known = this.#views.get(key)
    if (known) {
      this.#views.delete(key)
      this.#views.set(key, known)
      return known
    }
    if (this.#views.size >= largestViewCount) this.#disposeViews(this.#views.keys().next().value!)
    const slab = this.#slab(Math.floor(slot / slotsPerSlab))
    const offset = slot % slotsPerSlab * this.#slotSize
    const dims = [count, this.#config.kvHeads, this.capacity, this.#config.headSize]
    const [past, present] = [new Map<string, Tensor>(), new Map<string, Tensor>()]
    for (const [kind, buffers] of [['key', slab.keys], ['value', slab.values]] as const) {
      for (const [layer, buffer] of buffers.entries()) {
        const view = buffer.view(offset, dims)
        past.set(partName(part, `past_${kind}_${layer}`), view)
        present.set(partName(part, `present_${kind}_${layer}`), view)
      }
    }
    const views = { past, present }
    this.#views.set(key, views)
    return views
  }

  /** Copies positions [start, end) of one slot to another. */
  copy (source: number, target: number, start: number, end: number): void {
    if (source === target || start >= end) return
    const { kvHeads, headSize } = this.#config
    const [from, to] = [this.#slab(Math.floor(source / slotsPerSlab)), this.#slab(Math.floor(target / slotsPerSlab))]
    for (const kind of ['keys', 'values'] as const) {
      for (const [layer, tensor] of from[kind].entries()) {
        const [read, write] = [tensor.data as Float32Array, to[kind][layer]!.data as Float32Array]
        for (let head = 0; head < kvHeads; head++) {
          const sourceRow = (source % slotsPerSlab * kvHeads + head) * this.capacity
          const targetRow = (target % slotsPerSlab * kvHeads + head) * this.capacity
          if (read === write) read.copyWithin((targetRow + start) * headSize, (sourceRow + start) * headSize, (sourceRow + end) * headSize)
          else write.set(read.subarray((sourceRow + start) * headSize, (sourceRow + end) * headSize), (targetRow + start) * headSize)
        }
      }
    }
  }

  /** A copy of a slot's first positions that rows can share. Held once. */
  sharedPrompt (slot: number, length: number): SharedPrompt {
    const { kvHeads, headSize } = this.#config
    const prompt = new SharedPrompt(length, this.#buffers(slot).map(() => Tensor.allocate('float32', [kvHeads, length, headSize])))
    this.#eachHead(slot, (data, row, buffer, head) => { (prompt.tensors[buffer]!.data as Float32Array).set(data.subarray(row * headSize, (row + length) * headSize), head * length * headSize) })
    return prompt
  }

  /** Positions [start, end) of a slot, packed: [2 · layers, kv heads, end − start, head size]. */
  read (slot: number, start: number, end: number): Float32Array {
    const { kvHeads, headSize, layers } = this.#config
    const size = (end - start) * headSize
    const packed = new Float32Array(2 * layers * kvHeads * size)
    this.#eachHead(slot, (data, row, buffer, head) => { packed.set(data.subarray((row + start) * headSize, (row + end) * headSize), (buffer * kvHeads + head) * size) })
    return packed
  }

  /** Writes the first `count` positions of what `read` gave to a slot, from position `start` on. */
  write (slot: number, start: number, packed: Float32Array, count: number): void {
    const { kvHeads, headSize, layers } = this.#config
    const size = packed.length / (2 * layers * kvHeads)
    this.#eachHead(slot, (data, row, buffer, head) => {
      const first = (buffer * kvHeads + head) * size
      data.set(packed.subarray(first, first + count * headSize), (row + start) * headSize)
    })
  }

  /** Gives the memory of a free slot back to the system, where the system takes it. */
  discard (slot: number): void {
    const first = slot % slotsPerSlab * this.#slotSize
    for (const buffer of this.#buffers(slot)) buffer.discard(first, this.#slotSize)
  }

  /** A slot's slab: keys of all layers, then values of all. */
  #buffers (slot: number): readonly Tensor[] {
    const { keys, values } = this.#slab(Math.floor(slot / slotsPerSlab))
    return [...keys, ...values]
  }

  /** Visits a slot's first row of each head in each buffer. */
  #eachHead (slot: number, visit: (data: Float32Array, row: number, buffer: number, head: number) => void): void {
    const { kvHeads } = this.#config
    for (const [buffer, tensor] of this.#buffers(slot).entries()) {
      for (let head = 0; head < kvHeads; head++) visit(tensor.data as Float32Array, (slot % slotsPerSlab * kvHeads + head) * this.capacity, buffer, head)
    }
  }

  #disposeViews (key: string): void {
    for (const view of this.#views.get(key)!.past.values()) view.dispose()
    this.#views.delete(key)
  }

  dispose (): void {
    for (const key of [...this.#views.keys()]) this.#disposeViews(key)
    for (const slab of this.#slabs.splice(0)) for (const tensor of [...slab.keys, ...slab.values]) tensor.dispose()
  }
}
