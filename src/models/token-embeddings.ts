/** The rows of a model's token embedding, read from its weights in memory as the graph reads them. Knows no graph. */
import type { Tensor } from '../runtime/tensor.js'
import { groupSize } from './formats/dequantize.js'

/** What 8-bit values stand around. */
const centre = 128

/** The embeddings of one model. */
export class TokenEmbeddings {
  readonly #tensors: ReadonlyMap<string, Tensor>
  readonly #width: number

  /** @param width D of an embedding */
  constructor (tensors: ReadonlyMap<string, Tensor>, width: number) {
    this.#tensors = tensors
    this.#width = width
  }

  /**
   * The embedding of a token, length D: its hidden state at layer 0.
   * @param row where to write it
   */
  row (token: number, row: Float32Array = new Float32Array(this.#width)): Float32Array {
    const width = this.#width
    const from = token * width
    const floats = this.#tensors.get('embedding')
    if (floats) {
      row.set((floats.data as Float32Array).subarray(from, from + width))
      return row
    }
    const values = this.#tensors.get('embedding.values')!.data as Uint8Array
    const scales = this.#tensors.get('embedding.scales')!.data as Float32Array
    for (let start = 0; start < width; start += groupSize) {
      const scale = scales[(from + start) / groupSize]!
      for (let i = start; i < start + groupSize; i++) row[i] = (values[from + i]! - centre) * scale
    }
    return row
  }
}
