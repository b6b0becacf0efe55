/**
 * What weights are read from, whatever the format of the file. Tensors go by GGUF's names, so that all that comes after
 * knows one set of names.
 */
import type { Encoding, Groups } from './dequantize.js'

/** A tensor as a file describes it. */
export interface StoredTensor {
  /** Slowest axis first: a matrix is [rows, columns]. */
  readonly shape: readonly number[]
  readonly encoding: Encoding
}

/** A tensor and where it lies in its file. */
export interface LocatedTensor extends StoredTensor {
  /** From the start of the file, bytes. */
  readonly offset: number
  readonly sizeBytes: number
}

/** Names of two tensors that share bytes of a file; null where all lie apart. */
export function overlapping (tensors: ReadonlyMap<string, LocatedTensor>): readonly [string, string] | null {
  const inOrder = [...tensors].filter(([, { sizeBytes }]) => sizeBytes > 0).sort(([, a], [, b]) => a.offset - b.offset)
  for (const [index, [name, { offset, sizeBytes }]] of inOrder.entries()) {
    const next = inOrder[index + 1]
    if (next && next[1].offset < offset + sizeBytes) return [name, next[0]]
  }
  return null
}

/** Weights on disk, whatever their format. */
export interface TensorFile {
  /** Of the file, or of the folder it is in: for messages. */
  readonly path: string
  readonly tensors: ReadonlyMap<string, StoredTensor>
  /** The tensor's values, row-major. @throws RequestError if there is no such tensor */
  read (name: string): Promise<Float32Array>
  /**
   * The tensor as the file holds it, of an encoding with a grouping.
   * @throws RequestError if there is no such tensor
   */
  readGroups (name: string): Promise<Groups>
  close (): Promise<void>
}
