/** float32 matrices, or the integers of a file, → integers and scales. */
import type { Groups } from '../formats/dequantize.js'
import type { Blocks } from './weight-format.js'

/** Blocks of so many values, value = (level − centre) · scale + offset with the centre 8 for 4 bits and 128 for 8. */
export interface QuantizedBlocks {
  /** [N, K]. */
  readonly levels: Uint8Array
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

type Layout = Pick<Blocks, 'bits' | 'size'>

/** How much narrower than its values' range a block's levels are tried, for the best of them. */
const shrinkages = [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2]

/**
 * The scale and offset of a block, value = scale · level + offset, that leave the least squared error: of several
 * roundings, each with those that fit it best. Values that lie on evenly spaced levels stay as they are.
 */
function fitted (block: Float32Array, levels: number): { scale: number, offset: number } {
  const [least, most] = [Math.min(...block), Math.max(...block)]
  let [best, error] = [{ scale: (most - least) / (levels - 1), offset: least }, Infinity]
  if (least === most) return best
  const mean = block.reduce((sum, value) => sum + value, 0) / block.length
  for (const shrinkage of shrinkages) {
    const first = least + shrinkage / 2 * (most - least)
    const inverse = (levels - 1) / ((1 - shrinkage) * (most - least))
    const rounded = block.map(value => Math.max(0, Math.min(levels - 1, Math.round((value - first) * inverse))))
    const middle = rounded.reduce((sum, level) => sum + level, 0) / block.length
    let [product, square] = [0, 0]
    for (const [at, level] of rounded.entries()) {
      product += (level - middle) * (block[at]! - mean)
      square += (level - middle) ** 2
    }
    const scale = product / square
    const offset = mean - scale * middle
    const left = block.reduce((sum, value, at) => sum + (value - scale * rounded[at]! - offset) ** 2, 0)
    if (left < error) [best, error] = [{ scale, offset }, left]
  }
  return best
}

/**
 * Blocks of integers.
 * @param matrix [N, K] row-major, K a multiple of the block's size
 * @param offsets whether blocks have them: default no
 */
export function quantizeBlocks (
  matrix: Float32Array, { bits, size, offsets: hasOffsets = false }: Layout & { offsets?: boolean }
): QuantizedBlocks {
  const blocks = matrix.length / size
  const centre = 2 ** (bits - 1)
  const levels = new Uint8Array(matrix.length)
  const [scales, offsets] = [new Float32Array(blocks), new Float32Array(blocks)]
  for (let block = 0, start = 0; block < blocks; block++, start += size) {
    if (hasOffsets) {
      const { scale, offset } = fitted(matrix.subarray(start, start + size), 2 * centre)
      scales[block] = scale
      offsets[block] = offset + centre * scale
    } else scales[block] = peakOf(matrix, start, size) / (centre - 1)
    // As stored, in float32, so that values are rounded against what they will be multiplied with.
    const inverse = scales[block] === 0 ? 0 : 1 / scales[block]!
    for (let i = start; i < start + size; i++) {
      const level = Math.round((matrix[i]! - offsets[block]!) * inverse)
      levels[i] = Math.max(-centre, Math.min(centre - 1, level)) + centre
    }
  }
  return { levels, scales, offsets }
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
    levels: centred,
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
