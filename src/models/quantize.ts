/** float32 matrices → the integers and scales that the operators of a weight format take. */
import { blockSize } from './weight-format.js'

export interface QuantizedBlocks {
  /** [N, K/64, 64], value = (q − 128) · scale. */
  readonly values: Uint8Array
  /** [N, K/64]. */
  readonly scales: Float32Array
}

/** Largest magnitude of `count` values from `start` on. */
function peakOf (matrix: Float32Array, start: number, count: number): number {
  let largest = 0
  for (let at = start; at < start + count; at++) largest = Math.max(largest, Math.abs(matrix[at]!))
  return largest
}

/** Symmetric 8-bit blocks. @param matrix [N, K] row-major, K a multiple of 64 */
export function quantizeBlocks (matrix: Float32Array): QuantizedBlocks {
  const blocks = matrix.length / blockSize
  const values = new Uint8Array(matrix.length)
  const scales = new Float32Array(blocks)
  for (let block = 0, start = 0; block < blocks; block++, start += blockSize) {
    // The scale as stored, in float32, so that values are rounded against what they will be multiplied with.
    scales[block] = peakOf(matrix, start, blockSize) / 127
    const inverse = scales[block] === 0 ? 0 : 1 / scales[block]!
    for (let i = start; i < start + blockSize; i++) values[i] = Math.round(matrix[i]! * inverse) + 128
  }
  return { values, scales }
}

export interface QuantizedRows {
  /** [K, N], value = q · scale of its column. */
  readonly values: Int8Array
  /** [N]. */
  readonly scales: Float32Array
}

/** Symmetric 8-bit rows, transposed. @param matrix [N, K] row-major */
export function quantizeRows (matrix: Float32Array, rows: number): QuantizedRows {
  const columns = matrix.length / rows
  const values = new Int8Array(matrix.length)
  const scales = new Float32Array(rows)
  for (let row = 0; row < rows; row++) {
    scales[row] = peakOf(matrix, row * columns, columns) / 127
    const inverse = scales[row] === 0 ? 0 : 1 / scales[row]!
    for (let column = 0; column < columns; column++) values[column * rows + row] = Math.round(matrix[row * columns + column]! * inverse)
  }
  return { values, scales }
}
