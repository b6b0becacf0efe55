/**
 * How the matrices of a decoder are held. One format names a kind for each matrix; a kind is an operator and a layout of weights.
 * What each costs in speed and quality is in the README.
 */

import { rotationSize } from './rotation.js'

/** `i8`: 8-bit rows after smoothing, the fastest; `q8`: 8-bit blocks of 64, closer to the file; `f32`: as the file says. */
export const weightFormats = ['i8', 'q8', 'f32'] as const
export type WeightFormat = (typeof weightFormats)[number]

/**
 * `float`: MatMul. `blocks8`: weights and activations in 8 bits with a scale per block of 64 along the input (MatMulNBits, accuracy level 4). `rows8`: 8 bits with a scale per output of the weights and per row of the activations
 * (MatMulIntegerToFloat). `rotated_rows8`: the same after a rotation (rotation.ts).
 * With each of them a row's result has the same bits whatever rows it is computed with.
 */
export type MatrixKind = 'float' | 'blocks8' | 'rows8' | 'rotated_rows8'

/** Values along the input that share a scale in `blocks8`. Rows are computed alike in any batch with 64, not with 128. */
export const blockSize = 64

/** What a down projection multiplies has a few large values in each row, other ones every time: 8 bits hold a row only after a rotation. */
const unevenRows = /\.down$/

/** Whether a kind rounds whole rows of activations: what smoothing is for. */
export const roundsRows = (kind: MatrixKind): kind is 'rows8' | 'rotated_rows8' => kind === 'rows8' || kind === 'rotated_rows8'

/** Values along the input that a kind handles together: their number must be a multiple of it. */
export function granularity (kind: MatrixKind): number {
  if (kind === 'rotated_rows8') return rotationSize
  return kind === 'blocks8' ? blockSize : 1
}

/** The kind of a matrix, by its name in the decoder graph. */
export function matrixKind (format: WeightFormat, name: string): MatrixKind {
  if (format === 'f32') return 'float'
  if (format === 'q8') return 'blocks8'
  return unevenRows.test(name) ? 'rotated_rows8' : 'rows8'
}
