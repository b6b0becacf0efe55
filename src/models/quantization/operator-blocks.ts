/**
 * Blocks of integers as their operator, MatMulNBits, takes them: levels in bytes, and offsets, which it does not have,
 * as zero points and channels.
 */
import { groupSize } from '../formats/dequantize.js'
import { quantizeBlocks, type QuantizedBlocks } from './quantize.js'
import type { Blocks } from './weight-format.js'

/**
 * How many channels sums of blocks take, in a matrix whose blocks have offsets. The whole levels of an offset are its
 * block's zero point. What is left multiplies the sum of the block's activations: the sums follow the activations as
 * channels, twice, since the weights of the first are rounded and those of the second make that good, and zeros follow
 * the sums. With as many as make a row's channels a multiple of 128, if any do: kernels take four blocks of 32 at a
 * time, and more than one by one.
 * @param columns input size K of the matrix, a multiple of 32
 */
export function sumChannels (columns: number): number {
  const least = groupSize * Math.ceil(columns / groupSize / groupSize)
  return [least, least + groupSize].find(count => (columns + 2 * count) % (4 * groupSize) === 0) ?? least
}

/** [N, K] as weights of an operator. */
export interface OperatorBlocks {
  /** [N, K / size, size · bits / 8]. */
  readonly values: Uint8Array
  /** [N, K / size]. */
  readonly scales: Float32Array
  /** The levels of zero, [N, ⌈K / size · bits / 8⌉]; only with offsets. */
  readonly zeros?: Uint8Array
}

/** Rows of levels as bytes; of 4 bits two in a byte, the low ones first. */
function packed (levels: Uint8Array, bits: Blocks['bits'], columns: number): Uint8Array {
  if (bits === 8) return levels
  const bytes = Math.ceil(columns / 2)
  const high = (row: number, byte: number): number => 2 * byte + 1 < columns ? levels[row * columns + 2 * byte + 1]! : 0
  return Uint8Array.from({ length: levels.length / columns * bytes }, (_, at) => {
    const [row, byte] = [Math.floor(at / bytes), at % bytes]
    return levels[row * columns + 2 * byte]! | high(row, byte) << 4
  })
}

/** Typed arrays of so many rows, side by side. */
function beside<T extends Uint8Array | Float32Array> (rows: number, parts: readonly T[], whole: T): T {
  const widths = parts.map(part => part.length / rows)
  for (let row = 0, at = 0; row < rows; row++) {
    for (const [index, part] of parts.entries()) {
      whole.set(part.subarray(row * widths[index]!, (row + 1) * widths[index]!), at)
      at += widths[index]!
    }
  }
  return whole
}

/**
 * Blocks as an operator takes them: with offsets, as zero points and channels for the sums of blocks (`sumChannels`).
 * @param rows N
 */
export function operatorBlocks (
  { levels, scales, offsets }: QuantizedBlocks, { bits, size, offsets: hasOffsets }: Blocks, rows: number
): OperatorBlocks {
  const columns = levels.length / rows
  if (!hasOffsets) return { values: packed(levels, bits, columns), scales }
  const [blocks, width, centre] = [columns / size, sumChannels(columns), 2 ** (bits - 1)]
  const zeros = scales.map((scale, at) =>
    scale === 0 ? centre : Math.max(0, Math.min(2 * centre - 1, centre - Math.round(offsets[at]! / scale))))
  const left = new Float32Array(rows * width)
  for (let at = 0; at < scales.length; at++) {
    left[Math.floor(at / blocks) * width + at % blocks] = offsets[at]! - (centre - zeros[at]!) * scales[at]!
  }
  const first = quantizeBlocks(left, { bits, size })
  const second = quantizeBlocks(left.map((value, at) =>
    value - (first.levels[at]! - centre) * first.scales[Math.floor(at / size)]!), { bits, size })
  const channels = columns + 2 * width
  const joined = <T extends Uint8Array | Float32Array> (parts: readonly T[], make: (length: number) => T): T =>
    beside(rows, parts, make(parts.reduce((sum, part) => sum + part.length, 0)))
  const bytes = (length: number): Uint8Array => new Uint8Array(length)
  const allLevels = joined([levels, first.levels, second.levels], bytes)
  const ofSums = new Uint8Array(2 * first.scales.length).fill(centre)
  const allZeros = joined([Uint8Array.from(zeros), ofSums], bytes)
  return {
    values: packed(allLevels, bits, channels),
    scales: joined([scales, first.scales, second.scales], length => new Float32Array(length)),
    zeros: packed(allZeros, bits, channels / size)
  }
}
