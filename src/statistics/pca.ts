/**
 * Principal directions of rows of numbers: the leading eigenvectors of their covariance, by orthogonal iteration. Knows
 * numbers only.
 */
import { normal, uniform } from './random.js'
import { addScaled, dot } from './vectors.js'

/** More columns than asked for are iterated, so that those asked for settle sooner. */
const spare = 8
const iterations = 60

/** Covariance of rows, their mean taken off: row-major, D². */
function covariance (rows: readonly Float32Array[]): Float64Array {
  const width = rows[0]!.length
  const mean = new Float64Array(width)
  for (const row of rows) for (let i = 0; i < width; i++) mean[i]! += row[i]! / rows.length
  const matrix = new Float64Array(width * width)
  const centered = new Float64Array(width)
  for (const row of rows) {
    for (let i = 0; i < width; i++) centered[i] = row[i]! - mean[i]!
    for (let i = 0; i < width; i++) {
      const value = centered[i]! / rows.length
      for (let j = 0, at = i * width; j <= i; j++, at++) matrix[at]! += value * centered[j]!
    }
  }
  for (let i = 0; i < width; i++) for (let j = 0; j < i; j++) matrix[j * width + i] = matrix[i * width + j]!
  return matrix
}

/** Orthonormalises vectors in order (modified Gram–Schmidt); one that depends on those before it becomes zero. */
function orthonormalize (vectors: Float64Array[]): void {
  for (const [index, vector] of vectors.entries()) {
    const before = Math.sqrt(dot(vector, vector))
    for (const other of vectors.slice(0, index)) addScaled(vector, other, -dot(vector, other))
    const length = Math.sqrt(dot(vector, vector))
    const scale = length > 1e-10 * before ? 1 / length : 0
    for (let i = 0; i < vector.length; i++) vector[i]! *= scale
  }
}

function multiply (matrix: Float64Array, vector: Float64Array): Float64Array {
  const width = vector.length
  return vector.map((_, row) => dot(matrix.subarray(row * width, (row + 1) * width), vector))
}

/**
 * Unit vectors along which rows vary most, most first. Their signs mean nothing.
 * @param rows at least two, D numbers each
 * @returns as many as asked for, or as there are directions in which rows vary
 */
export function principalDirections (rows: readonly Float32Array[], count: number): Float64Array[] {
  const width = rows[0]!.length
  const matrix = covariance(rows)
  const random = uniform(1)
  let vectors: Float64Array[] = Array.from({ length: Math.min(count + spare, width) }, () =>
    Float64Array.from({ length: width }, () => normal(random)))
  orthonormalize(vectors)
  for (let iteration = 0; iteration < iterations; iteration++) {
    vectors = vectors.map(vector => multiply(matrix, vector))
    orthonormalize(vectors)
  }
  return vectors.filter(vector => dot(vector, vector) > 0.5).slice(0, count)
}
