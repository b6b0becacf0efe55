/**
 * GGUF's tensor encodings to float32. Pure arithmetic over bytes. Source: ggml's block layouts (ggml-common.h,
 * ggml-quants.c); checked against the `gguf` Python package by a fixture.
 */

/** Name, values per block, bytes per block. */
export interface Encoding { readonly name: string, readonly blockSize: number, readonly blockBytes: number, decode (blocks: DataView, out: Float32Array): void }

const halfTable = new Float32Array(65536)
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) halfTable[bits] = fraction ? NaN : sign * Infinity
  else halfTable[bits] = sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024))
}

/** Value of an IEEE 754 half-precision number given by its bits. */
export const halfToFloat = (bits: number): number => halfTable[bits]!

const half = (view: DataView, at: number): number => halfTable[view.getUint16(at, true)]!
const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

/** Blocks of 32 with 4 bits each, low nibbles first; `value(q, block)` gives scale and offset by block. */
function decodeNibbles (view: DataView, out: Float32Array, blockBytes: number, header: number, centre: number, hasMinimum: boolean): void {
  const bytes = bytesOf(view)
  for (let block = 0, at = 0; block < out.length; block += 32, at += blockBytes) {
    const scale = half(view, at)
    const offset = hasMinimum ? half(view, at + 2) : -centre * scale
    for (let i = 0; i < 16; i++) {
      const byte = bytes[at + header + i]!
      out[block + i] = scale * (byte & 15) + offset
      out[block + 16 + i] = scale * (byte >> 4) + offset
    }
  }
}

/** As `decodeNibbles`, with a fifth bit per value in a 32-bit word before the nibbles. */
function decodeFiveBits (view: DataView, out: Float32Array, blockBytes: number, header: number, centre: number, hasMinimum: boolean): void {
  const bytes = bytesOf(view)
  for (let block = 0, at = 0; block < out.length; block += 32, at += blockBytes) {
    const scale = half(view, at)
    const offset = hasMinimum ? half(view, at + 2) : -centre * scale
    const high = view.getUint32(at + header, true)
    for (let i = 0; i < 16; i++) {
      const byte = bytes[at + header + 4 + i]!
      out[block + i] = scale * ((byte & 15) | ((high >>> i) & 1) << 4) + offset
      out[block + 16 + i] = scale * ((byte >> 4) | ((high >>> (i + 16)) & 1) << 4) + offset
    }
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

/** Super-blocks of 256: 8 sub-blocks of 32 with their own scale and minimum; `highBits` is the offset of the fifth bits or −1. */
function decodeK (view: DataView, out: Float32Array, blockBytes: number, highBits: number): void {
  const bytes = bytesOf(view)
  const nibbles = highBits < 0 ? 16 : 48
  for (let block = 0, at = 0; block < out.length; block += 256, at += blockBytes) {
    const scale = half(view, at)
    const minimum = half(view, at + 2)
    for (let j = 0; j < 8; j++) {
      const [s, m] = scaleAndMinimum(bytes, at + 4, j)
      for (let i = 0; i < 32; i++) {
        const byte = bytes[at + nibbles + (j >> 1) * 32 + i]!
        const low = j & 1 ? byte >> 4 : byte & 15
        const high = highBits < 0 ? 0 : (bytes[at + highBits + i]! >> j & 1) << 4
        out[block + j * 32 + i] = scale * s * (low | high) - minimum * m
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

/** Every encoding Fairlead reads, by GGUF's type number. */
export const encodings: ReadonlyMap<number, Encoding> = new Map<number, Encoding>([
  [0, { name: 'F32', blockSize: 1, blockBytes: 4, decode: (view, out) => { for (let i = 0; i < out.length; i++) out[i] = view.getFloat32(4 * i, true) } }],
  [1, { name: 'F16', blockSize: 1, blockBytes: 2, decode: (view, out) => { for (let i = 0; i < out.length; i++) out[i] = half(view, 2 * i) } }],
  [2, { name: 'Q4_0', blockSize: 32, blockBytes: 18, decode: (view, out) => { decodeNibbles(view, out, 18, 2, 8, false) } }],
  [3, { name: 'Q4_1', blockSize: 32, blockBytes: 20, decode: (view, out) => { decodeNibbles(view, out, 20, 4, 0, true) } }],
  [6, { name: 'Q5_0', blockSize: 32, blockBytes: 22, decode: (view, out) => { decodeFiveBits(view, out, 22, 2, 16, false) } }],
  [7, { name: 'Q5_1', blockSize: 32, blockBytes: 24, decode: (view, out) => { decodeFiveBits(view, out, 24, 4, 0, true) } }],
  [8, {
    name: 'Q8_0',
    blockSize: 32,
    blockBytes: 34,
    decode: (view, out) => {
      const bytes = new Int8Array(view.buffer, view.byteOffset, view.byteLength)
      for (let block = 0, at = 0; block < out.length; block += 32, at += 34) {
        const scale = half(view, at)
        for (let i = 0; i < 32; i++) out[block + i] = scale * bytes[at + 2 + i]!
      }
    }
  }],
  [12, { name: 'Q4_K', blockSize: 256, blockBytes: 144, decode: (view, out) => { decodeK(view, out, 144, -1) } }],
  [13, { name: 'Q5_K', blockSize: 256, blockBytes: 176, decode: (view, out) => { decodeK(view, out, 176, 16) } }],
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
