/** Arithmetic on vectors of float64 numbers of equal length, summed in order. */

/** a · b. */
export function dot (a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

/** target += scale · source. */
export function addScaled (target: Float64Array, source: Float64Array, scale: number): void {
  for (let i = 0; i < target.length; i++) target[i]! += scale * source[i]!
}
