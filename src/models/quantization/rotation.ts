/**
 * A rotation that spreads a few large channels over many small ones before rounding: every 64 channels are multiplied
 * with a Hadamard matrix. Weights are turned the same way once, and since the matrix is orthogonal the product stays
 * what it was. Ashkboos et al. 2024, QuaRot (arXiv 2404.00456).
 */

/** Channels that are turned together. */
export const rotationSize = 64

/** Orthogonal, symmetric [64, 64]: Sylvester's Hadamard matrix over √64. */
export function rotationMatrix (): Float32Array {
  const parity = (bits: number): number => bits === 0 ? 0 : (bits & 1) ^ parity(bits >> 1)
  return Float32Array.from({ length: rotationSize ** 2 }, (_, at) =>
    (parity(Math.floor(at / rotationSize) & (at % rotationSize)) === 0 ? 1 : -1) / Math.sqrt(rotationSize))
}

/**
 * Turns every 64 columns of a matrix by the fast transform, in place.
 * @param matrix [N, K] row-major, K a multiple of 64
 */
export function rotate (matrix: Float32Array): Float32Array {
  for (let start = 0; start < matrix.length; start += rotationSize) {
    for (let span = 1; span < rotationSize; span *= 2) {
      for (let i = start; i < start + rotationSize; i += 2 * span) {
        for (let j = i; j < i + span; j++) {
          const [a, b] = [matrix[j]!, matrix[j + span]!]
          matrix[j] = a + b
          matrix[j + span] = a - b
        }
      }
    }
    for (let i = start; i < start + rotationSize; i++) matrix[i]! /= Math.sqrt(rotationSize)
  }
  return matrix
}
