/**
 * float32 matrices → blocks of 8-bit integers as ONNX Runtime's MatMulNBits takes them: symmetric around 128, one float32 scale
 * per block of 64 along the input dimension.
 */

/** Values that share a scale. Rows are computed alike in any batch with 64, not with 128. */
export const blockSize = 64

export interface QuantizedMatrix {
  /** [N, K/64, 64], value = (q − 128) · scale. */
  readonly values: Uint8Array
  /** [N, K/64]. */
  readonly scales: Float32Array
}

/** @param matrix [N, K] row-major, K a multiple of 64 */
export function quantize (matrix: Float32Array): QuantizedMatrix {
  const blocks = matrix.length / blockSize
  const values = new Uint8Array(matrix.length)
  const scales = new Float32Array(blocks)
  for (let block = 0, start = 0; block < blocks; block++, start += blockSize) {
    let largest = 0
    for (let i = start; i < start + blockSize; i++) {
      const size = Math.abs(matrix[i]!)
      if (size > largest) largest = size
    }
    // The scale as stored, in float32, so that values are rounded against what they will be multiplied with.
    scales[block] = largest / 127
    const inverse = scales[block] === 0 ? 0 : 1 / scales[block]!
    for (let i = start; i < start + blockSize; i++) values[i] = Math.round(matrix[i]! * inverse) + 128
  }
  return { values, scales }
}
