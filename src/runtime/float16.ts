/** IEEE 754 half precision: Node 20 has no typed array of it, so its values are held as their bits. */

/** The largest finite one. */
export const largestHalf = 65504

/** Value of every half, by its bits. */
const values = new Float32Array(65536)
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) values[bits] = fraction ? NaN : sign * Infinity
  else values[bits] = sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024))
}

/** Value of a half-precision number given by its bits. */
export const halfToFloat = (bits: number): number => values[bits]!

/** A float32's bits are given as an unsigned integer. */
function halfOf (float: number): number {
  const sign = (float >>> 16) & 0x8000
  const magnitude = float & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  // From 65,520 on the nearest half is infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x33000000) return sign
  if (magnitude < 0x38800000) return sign | subnormal(magnitude)
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
}

/** Below 2⁻¹⁴ halves are multiples of 2⁻²⁴. */
function subnormal (magnitude: number): number {
  const mantissa = (magnitude & 0x7fffff) | 0x800000
  const shift = 126 - (magnitude >>> 23)
  const half = mantissa >>> shift
  const rest = mantissa & ((1 << shift) - 1)
  const middle = 1 << (shift - 1)
  return half + (rest > middle || (rest === middle && (half & 1) === 1) ? 1 : 0)
}

/** The nearest halves' bits, ties to even. */
export function floatsToHalves (floats: Float32Array): Uint16Array {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length)
  const halves = new Uint16Array(new ArrayBuffer(2 * floats.length))
  for (let at = 0; at < bits.length; at++) halves[at] = halfOf(bits[at]!)
  return halves
}

/** Their values. */
export const halvesToFloats = (halves: Uint16Array): Float32Array => Float32Array.from(halves, halfToFloat)
