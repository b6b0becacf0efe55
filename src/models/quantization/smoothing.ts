/**
 * Moves what is hard to quantise from activations to weights: input channel j of a matrix is divided by s_j where the
 * activation is made (in the norm before it, or in the rows of the matrix before it) and multiplied by s_j in the
 * weights. The product is the same; only rounding changes. s_j = max|x_j|^α / max|w_j|^(1−α): Xiao et al. 2023,
 * SmoothQuant (arXiv 2211.10438).
 */
import type { DecoderConfig } from '../decoder-config.js'

/** Share of the difficulty that weights take over. */
const alpha = 0.6

/** Channels that no calibration text excites, or no weight reads, are left as they are. */
const minPeak = 1e-5

/**
 * @param activationPeaks largest magnitude per input channel, [K]
 * @param matrix [N, K] row-major
 * @returns s, [K]
 */
export function smoothingFactors (activationPeaks: Float32Array, matrix: Float32Array): Float32Array {
  const columns = activationPeaks.length
  const weightPeaks = new Float32Array(columns)
  for (let at = 0; at < matrix.length; at += columns) {
    for (let column = 0; column < columns; column++) {
      weightPeaks[column] = Math.max(weightPeaks[column]!, Math.abs(matrix[at + column]!))
    }
  }
  return activationPeaks.map((peak, column) =>
    peak < minPeak || weightPeaks[column]! < minPeak ? 1 : peak ** alpha / weightPeaks[column]! ** (1 - alpha))
}

/** Factors by matrix, [K] each. */
export type Smoothing = ReadonlyMap<string, Float32Array>

/**
 * The same factor for the channels of every query head that reads one value head: they are one row of the value matrix.
 */
function tieToValueHeads (
  factors: Float32Array, { queryHeads, kvHeads, headSize }: DecoderConfig
): { output: Float32Array, value: Float32Array } {
  const group = queryHeads / kvHeads
  const value = new Float32Array(kvHeads * headSize)
  for (let at = 0; at < factors.length; at++) {
    const head = Math.floor(at / headSize / group)
    const channel = head * headSize + at % headSize
    value[channel] = Math.max(value[channel]!, factors[at]!)
  }
  return { value, output: factors.map((_, at) => value[Math.floor(at / headSize / group) * headSize + at % headSize]!) }
}

/** What a value head's rows are divided by for the factors of the matrix after it, [kv heads · head size]. */
export const valueFactors = (factors: Float32Array, config: DecoderConfig): Float32Array =>
  tieToValueHeads(factors, config).value

/** Multiplies column j of a matrix by s_j, in place. */
export function scaleColumns (matrix: Float32Array, factors: Float32Array): void {
  for (let at = 0; at < matrix.length; at++) matrix[at]! *= factors[at % factors.length]!
}

/** Divides rows `first`, `first + 1`, … of a matrix by s_0, s_1, …, in place. */
function divideRows (matrix: Float32Array, columns: number, first: number, factors: Float32Array): void {
  for (const [index, factor] of factors.entries()) {
    for (let at = (first + index) * columns; at < (first + index + 1) * columns; at++) matrix[at]! /= factor
  }
}

/** Divides a vector by s, in place. */
export function divide (vector: Float32Array, factors: Float32Array): void {
  for (let at = 0; at < vector.length; at++) vector[at]! /= factors[at]!
}

/**
 * A matrix with its own factors in its columns, and in its rows the inverse of those that its outputs carry to the next
 * matrix.
 * @param name in the decoder graph
 * @param matrix [N, K] row-major; changed in place
 */
export function smoothMatrix (
  config: DecoderConfig, name: string, matrix: Float32Array, columns: number, smoothing: Smoothing
): Float32Array {
  const [layer, kind] = name.split('.') as [string, string | undefined]
  const own = smoothing.get(name)
  if (own) scaleColumns(matrix, kind === 'attention_output' ? tieToValueHeads(own, config).output : own)
  const afterValues = kind === 'qkv' ? smoothing.get(`${layer}.attention_output`) : undefined
  if (afterValues) {
    divideRows(matrix, columns, (config.queryHeads + config.kvHeads) * config.headSize,
      valueFactors(afterValues, config))
  }
  const afterUp = kind === 'gate_up' ? smoothing.get(`${layer}.down`) : undefined
  if (afterUp) divideRows(matrix, columns, config.feedForwardSize, afterUp)
  return matrix
}
