/**
 * float32 matrices, or the integers of a file, → the integers and scales that the operators of a weight format take.
 */
import type { Groups } from '../formats/dequantize.js'
import type { Blocks } from './weight-format.js'

/** Blocks of so many values, value = (level − centre) · scale + offset with the centre 8 for 4 bits and 128 for 8. */
export interface QuantizedBlocks {
  /** Levels, [N, K / size, size · bits / 8]; of 4 bits two in a byte, the low ones first. */
  readonly values: Uint8Array
  /** [N, K / size]. */
  readonly scales: Float32Array
  /** [N, K / size]. */
  readonly offsets: Float32Array
}

/** Largest magnitude of `count` values from `start` on. */
function peakOf (matrix: Float32Array, start: number, count: number): number {
  let largest = 0
  for (let at = start; at < start + count; at++) largest = Math.max(largest, Math.abs(matrix[at]!))
  return largest
}

/** Two levels of 4 bits in a byte, the low ones first. */
const packed = (levels: Uint8Array): Uint8Array =>
  Uint8Array.from({ length: levels.length / 2 }, (_, at) => levels[2 * at]! | levels[2 * at + 1]! << 4)

/** How much finer or coarser than the largest magnitude asks for a 4-bit scale is tried: in tenths of a level. */
const tenths = Array.from({ length: 21 }, (_, index) => index - 12)

/**
 * The 4-bit scale of a block that leaves the least squared error: of several roundings, each with the scale that fits
 * it best, Σwq / Σq², the one that explains most, (Σwq)² / Σq².
 */
function fittedScale (matrix: Float32Array, start: number, size: number): number {
  let extreme = 0
  for (let at = start; at < start + size; at++) if (Math.abs(matrix[at]!) > Math.abs(extreme)) extreme = matrix[at]!
  if (extreme === 0) return 0
  let [scale, most] = [0, 0]
  for (const tenth of tenths) {
    // The extreme value takes the level −8, which has no positive counterpart.
    const inverse = -(8 + tenth / 10) / extreme
    let [product, square] = [0, 0]
    for (let at = start; at < start + size; at++) {
      const level = Math.max(-8, Math.min(7, Math.round(matrix[at]! * inverse)))
      product += matrix[at]! * level
      square += level * level
    }
    if (square > 0 && product * product > most * square) [scale, most] = [product / square, product * product / square]
  }
  return scale
}

/** Blocks of integers without offsets. @param matrix [N, K] row-major, K a multiple of the block's size */
export function quantizeBlocks (matrix: Float32Array, { bits, size }: Pick<Blocks, 'bits' | 'size'>): QuantizedBlocks {
  const blocks = matrix.length / size
  const centre = 2 ** (bits - 1)
  const levels = new Uint8Array(matrix.length)
  const scales = new Float32Array(blocks)
  for (let block = 0, start = 0; block < blocks; block++, start += size) {
    // The scale as stored, in float32, so that values are rounded against what they will be multiplied with.
    scales[block] = bits === 8 ? peakOf(matrix, start, size) / 127 : fittedScale(matrix, start, size)
    const inverse = scales[block] === 0 ? 0 : 1 / scales[block]!
    for (let i = start; i < start + size; i++) {
      levels[i] = Math.max(-centre, Math.min(centre - 1, Math.round(matrix[i]! * inverse))) + centre
    }
  }
  return { values: bits === 4 ? packed(levels) : levels, scales, offsets: new Float32Array(blocks) }
}

/**
 * A file's own groups as blocks.
 * @param fileBits of a level in the file,
 * @param bits of a level here, at least as many
 */
export function blocksOfGroups ({ levels, scales, offsets }: Groups, fileBits: number, bits: 4 | 8): QuantizedBlocks {
  const fileCentre = 2 ** (fileBits - 1)
  const centred = levels.map(level => level - fileCentre + 2 ** (bits - 1))
  return {
    values: bits === 4 ? packed(centred) : centred,
    scales,
    offsets: offsets.map((offset, group) => offset + fileCentre * scales[group]!)
  }
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
    for (let column = 0; column < columns; column++) {
      values[column * rows + row] = Math.round(matrix[row * columns + column]! * inverse)
    }
  }
  return { values, scales }
}
