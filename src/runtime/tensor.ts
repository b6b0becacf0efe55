/** Tensors in memory that ONNX Runtime reads and writes in place. Knows no sessions. */
import koffi from 'koffi'
import { check, created, loadOnnxRuntime, type Pointer } from './onnx-library.js'
import { copyMemory, discardPages } from './memory.js'

/** Types of values, by ONNX's names. */
export type DataType = 'float32' | 'float16' | 'uint8' | 'int8' | 'int32' | 'int64'
/** Where a tensor's values lie. */
export type MemoryKind = 'cpu' | 'cuda' | 'webgpu'
/** The views that hold values of these types. */
export type TensorData = Float32Array | Uint16Array | Uint8Array | Int8Array | Int32Array | BigInt64Array

/** Element size in bytes, ONNX's type number and the view that shows it. */
export const dataTypes = {
  float32: { size: 4, onnx: 1, view: Float32Array },
  float16: { size: 2, onnx: 10, view: Uint16Array },
  uint8: { size: 1, onnx: 2, view: Uint8Array },
  int8: { size: 1, onnx: 3, view: Int8Array },
  int32: { size: 4, onnx: 6, view: Int32Array },
  int64: { size: 8, onnx: 7, view: BigInt64Array }
} as const satisfies Record<DataType, { size: number, onnx: number, view: unknown }>

/** A value that graphs read and write, in the host's memory or a device's. */
export interface Value {
  readonly type: DataType
  readonly dims: readonly number[]
  readonly memory: MemoryKind
  readonly sizeBytes: number
  /** The OrtValue. For this folder only. */
  readonly handle: Pointer
  /** The OrtValue's address. For this folder only. */
  readonly address: bigint
}

/** Values of a shape. */
export const elements = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1)

/** Small typed arrays live on the JavaScript heap, where the collector moves them, until their buffer is asked for. */
function offHeap (data: TensorData): TensorData {
  return data.buffer.byteLength >= data.byteLength ? data : data.slice()
}

/** A typed, shaped view on the host's memory. Owned tensors free it on dispose, and only then. */
export class Tensor implements Value {
  readonly type: DataType
  readonly dims: readonly number[]
  readonly memory = 'cpu'
  readonly sizeBytes: number
  readonly #start: bigint
  readonly #view: () => TensorData
  #data: TensorData | null = null
  #value: Pointer
  #allocation: Pointer
  readonly #address: bigint

  /**
   * @param start address of the first element
   * @param view makes the typed array over the elements; called when it is first asked for, since each large one costs
   * a run of the collector
   */
  private constructor (
    type: DataType, dims: readonly number[], start: bigint, view: () => TensorData, allocation: Pointer = null
  ) {
    const { api, cpuMemory } = loadOnnxRuntime()
    this.type = type
    this.dims = dims
    this.sizeBytes = elements(dims) * dataTypes[type].size
    this.#start = start
    this.#view = view
    this.#allocation = allocation
    this.#value = created(api, 'createTensorWithData', cpuMemory, start, this.sizeBytes,
      BigInt64Array.from(dims, BigInt), dims.length, dataTypes[type].onnx)
    this.#address = koffi.address(this.#value as never)
  }

  /** Native memory, its contents undefined; large tensors take pages only when written. */
  static allocate (type: DataType, dims: readonly number[]): Tensor {
    const { api, allocator } = loadOnnxRuntime()
    const sizeBytes = elements(dims) * dataTypes[type].size
    const allocation = created(api, 'allocatorAlloc', allocator, Math.max(sizeBytes, 1))
    const View = dataTypes[type].view
    return new Tensor(type, dims, koffi.address(allocation as never), () => new View(koffi.view(allocation, sizeBytes)),
      allocation)
  }

  /** Borrows a typed array of the type's own kind. */
  static from (type: DataType, dims: readonly number[], data: TensorData): Tensor {
    if (data.length !== elements(dims)) {
      throw new Error(`a tensor of shape [${dims.join(', ')}] has ${elements(dims)} elements; got ${data.length}`)
    }
    const stable = offHeap(data)
    return new Tensor(type, dims, koffi.address(stable), () => stable)
  }

  /** The elements, row-major. Invalid after dispose. */
  get data (): TensorData {
    this.#data ??= this.#view()
    return this.#data
  }

  /** A tensor over part of this one's memory, from an element offset on. This tensor must not be disposed before it. */
  view (elementOffset: number, dims: readonly number[]): Tensor {
    if (elementOffset + elements(dims) > elements(this.dims)) {
      throw new Error(`a view of ${elements(dims)} elements from offset ${elementOffset} exceeds the tensor's ` +
        `${elements(this.dims)} elements`)
    }
    return new Tensor(this.type, dims, this.#at(elementOffset), () =>
      this.data.subarray(elementOffset, elementOffset + elements(dims)))
  }

  /**
   * The same memory with elements of another type of the same size: the new tensor's, while this one is disposed of.
   */
  as (type: DataType): Tensor {
    const { size, view: View } = dataTypes[type]
    if (size !== dataTypes[this.type].size) throw new Error(`elements of ${this.type} cannot be viewed as ${type}`)
    const { buffer, byteOffset, length } = this.data
    const shown = (): TensorData => new View(buffer as ArrayBuffer, byteOffset, length)
    const moved = new Tensor(type, this.dims, this.#start, shown, this.#allocation)
    this.#allocation = null
    this.dispose()
    return moved
  }

  /** Copies elements of a tensor of the same type here. Offsets and count are in elements. */
  copy (offset: number, source: Tensor, sourceOffset: number, count: number): void {
    copyMemory(this.#at(offset), source.#at(sourceOffset), count * dataTypes[this.type].size)
  }

  /**
   * Gives the memory of some elements back to the system, as far as whole pages of it hold no others. Their values are
   * undefined afterwards.
   */
  discard (elementOffset: number, count: number): void {
    discardPages(this.#at(elementOffset), count * dataTypes[this.type].size)
  }

  #at (elementOffset: number): bigint { return this.#start + BigInt(elementOffset * dataTypes[this.type].size) }

  /** The OrtValue. For this folder only. */
  get handle (): Pointer {
    if (!this.#value) throw new Error('the tensor has been disposed')
    return this.#value
  }

  /** The OrtValue's address. For this folder only. */
  get address (): bigint {
    if (!this.#value) throw new Error('the tensor has been disposed')
    return this.#address
  }

  /** Gives the value, and owned memory, back. Idempotent. */
  dispose (): void {
    if (!this.#value) return
    const { api, allocator } = loadOnnxRuntime()
    api.releaseValue(this.#value)
    this.#value = null
    if (this.#allocation) check(api, api.allocatorFree(allocator, this.#allocation))
    this.#allocation = null
  }
}
