/**
 * GGUF's tensor encodings to float32, and to the integers and scales they are made of. Pure arithmetic over bytes.
 * Source: ggml's block layouts (ggml-common.h, ggml-quants.c); checked against the `gguf` Python package by a fixture.
 */
import { halfToFloat } from '../../runtime/float16.js'

/** Values in a group. */
export const groupSize = 32

/** Values in groups of 32 that share a scale and an offset: value = scale · level + offset. */
export interface Groups {
  /** Unsigned integers, one a value. */
  readonly levels: Uint8Array
  /** One a group. */
  readonly scales: Float32Array
  /** One a group. */
  readonly offsets: Float32Array
}

/** How an encoding stores a block as integers and scales. */
export interface Grouping {
  /** Bits of a level. */
  readonly bits: 4 | 5 | 8
  /** Whether every offset is minus the scale times half the number of levels. */
  readonly centred: boolean
  split (blocks: DataView, out: Groups): void
}

/** One of ggml's tensor types. */
export interface Encoding {
  readonly name: string
  /** Values per block. */
  readonly blockSize: number
  /** Bytes per block. */
  readonly blockBytes: number
  decode (blocks: DataView, out: Float32Array): void
  /** How the blocks fall into groups of 32, of encodings that do. */
  readonly grouping?: Grouping
}

/** Room for the groups of so many values. */
export const newGroups = (values: number): Groups => ({
  levels: new Uint8Array(values),
  scales: new Float32Array(values / groupSize),
  offsets: new Float32Array(values / groupSize)
})

const half = (view: DataView, at: number): number => halfToFloat(view.getUint16(at, true))
const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

/**
 * Blocks of 32: a half-precision scale, perhaps a minimum, perhaps a word of fifth bits, then nibbles, the low ones
 * first.
 */
function splitNibbles (bits: 4 | 5, hasMinimum: boolean): (view: DataView, out: Groups) => void {
  const centre = 2 ** (bits - 1)
  const high = hasMinimum ? 4 : 2
  const nibbles = bits === 5 ? high + 4 : high
  return (view, { levels, scales, offsets }) => {
    const bytes = bytesOf(view)
    for (let group = 0, at = 0; group < scales.length; group++, at += nibbles + 16) {
      scales[group] = half(view, at)
      offsets[group] = hasMinimum ? half(view, at + 2) : -centre * scales[group]!
      const fifths = bits === 5 ? view.getUint32(at + high, true) : 0
      for (let i = 0; i < 16; i++) {
        const byte = bytes[at + nibbles + i]!
        levels[group * groupSize + i] = (byte & 15) | ((fifths >>> i) & 1) << 4
        levels[group * groupSize + 16 + i] = (byte >> 4) | ((fifths >>> (i + 16)) & 1) << 4
      }
    }
  }
}

function splitQ8 (view: DataView, { levels, scales, offsets }: Groups): void {
  const bytes = new Int8Array(view.buffer, view.byteOffset, view.byteLength)
  for (let group = 0, at = 0; group < scales.length; group++, at += 34) {
    scales[group] = half(view, at)
    offsets[group] = -128 * scales[group]!
    for (let i = 0; i < groupSize; i++) levels[group * groupSize + i] = bytes[at + 2 + i]! + 128
  }
}

/** The 6-bit scale and minimum of sub-block j, packed in 12 bytes (Q4_K, Q5_K). */
function scaleAndMinimum (bytes: Uint8Array, at: number, j: number): [number, number] {
  if (j < 4) return [bytes[at + j]! & 63, bytes[at + j + 4]! & 63]
  return [
    (bytes[at + j + 4]! & 15) | (bytes[at + j - 4]! >> 6) << 4,
    (bytes[at + j + 4]! >> 4) | (bytes[at + j]! >> 6) << 4
  ]
}

/** Super-blocks of 256: 8 groups, each with a scale and a minimum in multiples of the super-block's own. */
function splitK (bits: 4 | 5): (view: DataView, out: Groups) => void {
  const nibbles = bits === 5 ? 48 : 16
  return (view, { levels, scales, offsets }) => {
    const bytes = bytesOf(view)
    for (let group = 0; group < scales.length; group++) {
      const [at, j] = [(group >> 3) * (nibbles + 128), group & 7]
      const [s, m] = scaleAndMinimum(bytes, at + 4, j)
      scales[group] = half(view, at) * s
      offsets[group] = -half(view, at + 2) * m
      for (let i = 0; i < groupSize; i++) {
        const byte = bytes[at + nibbles + (j >> 1) * 32 + i]!
        const low = j & 1 ? byte >> 4 : byte & 15
        levels[group * groupSize + i] = low | (bits === 5 ? (bytes[at + 16 + i]! >> j & 1) << 4 : 0)
      }
    }
  }
}

function decodeQ6K (view: DataView, out: Float32Array): void {
  const bytes = bytesOf(view)
  for (let block = 0, at = 0; block < out.length; block += 256, at += 210) {
    const scale = half(view, at + 208)
    for (let i = 0; i < 256; i++) {
      const group = i >> 7
      const within = i & 127
      const quarter = within >> 5
      const lane = within & 31
      const low = bytes[at + group * 64 + (quarter & 1) * 32 + lane]!
      const nibble = quarter < 2 ? low & 15 : low >> 4
      const high = bytes[at + 128 + group * 32 + lane]! >> (quarter * 2) & 3
      out[block + i] = scale * view.getInt8(at + 192 + (i >> 4)) * ((nibble | high << 4) - 32)
    }
  }
}

/** An encoding whose blocks are groups of 32. */
function grouped (name: string, blockSize: number, blockBytes: number, grouping: Grouping): Encoding {
  return {
    name,
    blockSize,
    blockBytes,
    grouping,
    decode (view, out) {
      const groups = newGroups(out.length)
      grouping.split(view, groups)
      for (let i = 0; i < out.length; i++) out[i] = groups.scales[i >> 5]! * groups.levels[i]! + groups.offsets[i >> 5]!
    }
  }
}

/** Every encoding Fairlead reads, by GGUF's type number. */
export const encodings: ReadonlyMap<number, Encoding> = new Map<number, Encoding>([
  [0, {
    name: 'F32',
    blockSize: 1,
    blockBytes: 4,
    decode: (view, out) => { for (let i = 0; i < out.length; i++) out[i] = view.getFloat32(4 * i, true) }
  }],
  [1, {
    name: 'F16',
    blockSize: 1,
    blockBytes: 2,
    decode: (view, out) => { for (let i = 0; i < out.length; i++) out[i] = half(view, 2 * i) }
  }],
  [2, grouped('Q4_0', 32, 18, { bits: 4, centred: true, split: splitNibbles(4, false) })],
  [3, grouped('Q4_1', 32, 20, { bits: 4, centred: false, split: splitNibbles(4, true) })],
  [6, grouped('Q5_0', 32, 22, { bits: 5, centred: true, split: splitNibbles(5, false) })],
  [7, grouped('Q5_1', 32, 24, { bits: 5, centred: false, split: splitNibbles(5, true) })],
  [8, grouped('Q8_0', 32, 34, { bits: 8, centred: true, split: splitQ8 })],
  [12, grouped('Q4_K', 256, 144, { bits: 4, centred: false, split: splitK(4) })],
  [13, grouped('Q5_K', 256, 176, { bits: 5, centred: false, split: splitK(5) })],
  [14, { name: 'Q6_K', blockSize: 256, blockBytes: 210, decode: decodeQ6K }],
  [30, {
    name: 'BF16',
    blockSize: 1,
    blockBytes: 2,
    decode: (view, out) => {
      const bits = new Uint32Array(out.buffer, out.byteOffset, out.length)
      for (let i = 0; i < out.length; i++) bits[i] = view.getUint16(2 * i, true) << 16
    }
  }]
])
