/** A linear head from samples and states: the design matrix, λ, the fit, and the fit as weights on raw states. */
import type { StateSet } from './evaluate.js'
import { fractions } from './features.js'
import { chooseLambda, columnScale, denseRows, fitLogistic, unscale, type Rows } from './fit.js'

/** Penalty of the log-length column against the states': small, so that it takes what length explains before they do. */
const lengthPenalty = 0.01

/** A head on raw states, with the λ chosen for it and its cross-validated accuracy. */
export interface HeadFit {
  readonly head: { readonly weights: Float64Array, readonly bias: number }
  readonly lambda: number
  readonly accuracy: number
}

/**
 * Bradley–Terry for pairs, logistic for labels, on standardised states with log-length as a weakly penalised nuisance
 * column that the head leaves out.
 * @param prefixes use every fraction of each answer, or only the whole
 */
export function fitHead (set: StateSet, prefixes: boolean): HeadFit {
  const used = fractions.map((_fraction, index) => index).filter(index => prefixes || index === fractions.length - 1)
  const scale = columnScale(set.states.flatMap(states => used.map(index => withLength(states[index]!, 0))))
  const lengthScale = columnScale(set.lengths.map(length => Float32Array.of(Math.log(length))))
  scale.mean[scale.mean.length - 1] = lengthScale.mean[0]!
  scale.std[scale.std.length - 1] = lengthScale.std[0]!
  const paired = set.samples.some(sample => sample.against !== null)
  const { rows, labels, groups } = design(set, used, scale)
  const penalties = new Float64Array(rows.width).fill(1)
  penalties[rows.width - 1] = lengthPenalty
  const options = { intercept: !paired, penalties }
  const { lambda, accuracy } = chooseLambda(rows, labels, groups, options)
  const fit = fitLogistic(rows, labels, { ...options, lambda })
  const width = rows.width - 1
  const states = { mean: scale.mean.subarray(0, width), std: scale.std.subarray(0, width) }
  return { lambda, accuracy, head: unscale({ weights: fit.weights.subarray(0, width), intercept: fit.intercept }, states) }
}

/** A state with log-length as one more column. */
function withLength (state: Float32Array, logLength: number): Float32Array {
  const row = new Float32Array(state.length + 1)
  row.set(state)
  row[state.length] = logLength
  return row
}

/** Standardised features of every sample at every fraction used; for pairs the difference of the two answers. */
function design (set: StateSet, used: readonly number[], scale: { mean: Float64Array, std: Float64Array }): { rows: Rows, labels: Int8Array, groups: string[] } {
  const width = scale.mean.length
  const values = new Float32Array(set.samples.length * used.length * width)
  const labels = new Int8Array(set.samples.length * used.length)
  const groups: string[] = []
  const read = (answer: number, index: number): Float32Array => withLength(set.states[answer]![index]!, Math.log(set.lengths[answer]!))
  for (const { answer, against, label, group } of set.samples) {
    for (const index of used) {
      const row = groups.length
      const left = read(answer, index)
      const right = against === null ? scale.mean : read(against, index)
      for (let i = 0; i < width; i++) values[row * width + i] = (left[i]! - right[i]!) / scale.std[i]!
      labels[row] = label
      groups.push(group)
    }
  }
  return { rows: denseRows(values, width), labels, groups }
}
