/**
 * Rotations that spread a few large channels over many small ones before rounding. Weights are turned the same way
 * once, and since the matrices are orthogonal the products stay what they were. Ashkboos et al. 2024, QuaRot (arXiv
 * 2404.00456); of the hidden state, also Liu et al. 2024, SpinQuant (arXiv 2405.16406).
 */

/** Channels of a row that are turned together where a graph turns what a matrix multiplies. */
export const rotationSize = 64

/** Channels of a hidden state that a graph turns by its first factor; a multiple of two of them can be turned. */
export const hiddenRotationSize = 32

/** Orthogonal, symmetric [size, size]: Sylvester's Hadamard matrix over √size. @param size a power of two */
export function hadamardMatrix (size: number): Float32Array {
  const parity = (bits: number): number => bits === 0 ? 0 : (bits & 1) ^ parity(bits >> 1)
  return Float32Array.from({ length: size ** 2 }, (_, at) =>
    (parity(Math.floor(at / size) & (at % size)) === 0 ? 1 : -1) / Math.sqrt(size))
}

/** Orthogonal, symmetric [size, size]: cas(2πij / size) over √size, the discrete Hartley transform. */
function hartleyMatrix (size: number): Float64Array {
  return Float64Array.from({ length: size ** 2 }, (_, at) => {
    const angle = 2 * Math.PI * (Math.floor(at / size) * (at % size) % size) / size
    return (Math.cos(angle) + Math.sin(angle)) / Math.sqrt(size)
  })
}

/** A number as an odd one and a power of two. */
function oddAndPower (width: number): [odd: number, power: number] {
  const power = width & -width
  return [width / power, power]
}

/** Multiplies by a Hadamard matrix along the middle axis of [outer, size, inner], in place, by the fast transform. */
function hadamard (values: Float32Array, size: number, inner: number): void {
  const factor = 1 / Math.sqrt(size)
  for (let start = 0; start < values.length; start += size * inner) {
    for (let span = inner; span < size * inner; span *= 2) {
      for (let i = start; i < start + size * inner; i += 2 * span) {
        for (let j = i; j < i + span; j++) {
          const [a, b] = [values[j]!, values[j + span]!]
          values[j] = a + b
          values[j + span] = a - b
        }
      }
    }
  }
  for (let at = 0; at < values.length; at++) values[at]! *= factor
}

/** Multiplies by a Hartley matrix along the middle axis of [outer, size, inner], in place. */
function hartley (values: Float32Array, size: number, inner: number): void {
  const matrix = hartleyMatrix(size)
  const turned = new Float32Array(size * inner)
  for (let start = 0; start < values.length; start += size * inner) {
    turned.fill(0)
    for (let to = 0; to < size; to++) {
      for (let from = 0; from < size; from++) {
        const factor = matrix[to * size + from]!
        for (let at = 0; at < inner; at++) turned[to * inner + at]! += factor * values[start + from * inner + at]!
      }
    }
    values.set(turned, start)
  }
}

/**
 * Turns every 64 columns of a matrix, in place.
 * @param matrix [N, K] row-major, K a multiple of 64
 */
export function rotate (matrix: Float32Array): Float32Array {
  hadamard(matrix, rotationSize, 1)
  return matrix
}

/** Whether hidden states of a width can be turned. */
export const canRotateHidden = (width: number): boolean => width % (2 * hiddenRotationSize) === 0

/**
 * Turns hidden states, along the middle axis of [outer, width, inner], in place: by a Hartley matrix times, as
 * Kronecker's product, a Hadamard matrix as large as the width's power of two. It is its own inverse.
 * @param width D, a multiple of 64
 * @param inner 1 for hidden states one after the other; K for a matrix [D, K] whose products are added to them
 */
export function rotateHidden (values: Float32Array, width: number, inner = 1): Float32Array {
  const [odd, power] = oddAndPower(width)
  hadamard(values, power, inner)
  if (odd > 1) hartley(values, odd, power * inner)
  return values
}

/**
 * The same rotation as two factors: R x = A · X · B for x as X [width / 32, 32].
 * @returns A [width / 32, width / 32] and B [32, 32], both symmetric
 */
export function hiddenRotation (width: number): { left: Float32Array, right: Float32Array } {
  const blocks = width / hiddenRotationSize
  const [odd, power] = oddAndPower(blocks)
  const [outer, inner] = [hartleyMatrix(odd), hadamardMatrix(power)]
  const left = Float32Array.from({ length: blocks ** 2 }, (_, at) => {
    const [row, column] = [Math.floor(at / blocks), at % blocks]
    return outer[Math.floor(row / power) * odd + Math.floor(column / power)]! *
      inner[row % power * power + column % power]!
  })
  return { left, right: hadamardMatrix(hiddenRotationSize) }
}
