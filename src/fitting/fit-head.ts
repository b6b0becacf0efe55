/**
 * A linear head from samples and states: the design matrix, λ, the fit, and the fit as weights on raw states; and heads
 * drawn around it.
 */
import type { StateSet } from './held-out-figures.js'
import { fractions } from './features.js'
import {
  chooseLambda, columnScale, denseRows, fitLinear, logisticLoss, squaredLoss, unscale, type ColumnScale, type LinearFit,
  type Loss, type Rows
} from '../statistics/linear-fit.js'
import { drawFits } from '../statistics/laplace.js'
import { meanAndStd } from '../statistics/metrics.js'

/**
 * Penalty of the log-length column against the states': small, so that it takes what length explains before they do.
 */
const lengthPenalty = 0.01

/** A head on raw states, with its λ and, where that was chosen here, the cross-validated gain that spoke for it. */
export interface HeadFit {
  readonly head: { readonly weights: Float64Array, readonly bias: number }
  readonly lambda: number
  readonly gain: number | null
}

/**
 * What a head is fitted on: the design matrix of a set, on standardised states, with log-length as a weakly penalised
 * nuisance column that the head leaves out.
 */
class HeadProblem {
  readonly rows: Rows
  readonly targets: Float64Array
  readonly groups: readonly string[]
  readonly loss: Loss
  readonly options: { readonly intercept: boolean, readonly penalties: Float64Array }
  /** Rows of each sample: the fractions of its answer. */
  readonly rowsPerSample: number
  readonly #scale: ColumnScale
  readonly #unit: { readonly mean: number, readonly std: number }

  /** @param prefixes use every fraction of each answer, or only the whole */
  constructor (set: StateSet, prefixes: boolean) {
    const used = fractions.map((_fraction, index) => index).filter(index => prefixes || index === fractions.length - 1)
    const scale = columnScale(set.states.flatMap(states => used.map(index => withLength(states[index]!, 0))))
    const lengthScale = columnScale(set.lengths.map(length => Float32Array.of(Math.log(length))))
    scale.mean[scale.mean.length - 1] = lengthScale.mean[0]!
    scale.std[scale.std.length - 1] = lengthScale.std[0]!
    const { rows, targets, groups, unit } = design(set, used, scale)
    const penalties = new Float64Array(rows.width).fill(1)
    penalties[rows.width - 1] = lengthPenalty
    this.rows = rows
    this.targets = targets
    this.groups = groups
    this.loss = set.kind === 'scores' ? squaredLoss : logisticLoss
    this.options = { intercept: set.kind !== 'pairs', penalties }
    this.rowsPerSample = used.length
    this.#scale = scale
    this.#unit = unit
  }

  /** A fit as weights on raw states. */
  headOf (fit: LinearFit): HeadFit['head'] {
    const [width, { mean, std }, unit] = [this.rows.width - 1, this.#scale, this.#unit]
    const { weights, bias } = unscale({ weights: fit.weights.subarray(0, width), intercept: fit.intercept },
      { mean: mean.subarray(0, width), std: std.subarray(0, width) })
    return { weights: weights.map(weight => weight * unit.std), bias: bias * unit.std + unit.mean }
  }
}

/**
 * Bradley–Terry for pairs, logistic for labels, least squares for scores.
 * @param prefixes use every fraction of each answer, or only the whole
 * @param given λ; default the best of five-fold cross-validation
 */
export function fitHead (set: StateSet, prefixes: boolean, given?: number): HeadFit {
  const problem = new HeadProblem(set, prefixes)
  const { rows, targets, groups, loss, options } = problem
  const { lambda, gain } =
    given === undefined ? chooseLambda(rows, targets, groups, loss, options) : { lambda: given, gain: null }
  return { lambda, gain, head: problem.headOf(fitLinear(rows, targets, loss, { ...options, lambda })) }
}

/**
 * Heads drawn from what the data leave open about one head's weights, around that head.
 * @param error of the head on held-out scores, mean square in their variance; only scores need it
 */
export function drawHeads (
  set: StateSet, prefixes: boolean, lambda: number, error: number, count: number, normal: () => number
): Array<HeadFit['head']> {
  const problem = new HeadProblem(set, prefixes)
  const { rows, targets, loss, options, rowsPerSample } = problem
  const fit = fitLinear(rows, targets, loss, { ...options, lambda })
  const noise = set.kind === 'scores' ? error : 1
  return drawFits(rows, targets, loss, fit, { ...options, lambda, rowsPerSample, noise }, count, normal).map(draw =>
    problem.headOf(draw))
}

/** A state with log-length as one more column. */
function withLength (state: Float32Array, logLength: number): Float32Array {
  const row = new Float32Array(state.length + 1)
  row.set(state)
  row[state.length] = logLength
  return row
}

/**
 * Standardised features of every sample at every fraction used; for pairs the difference of the two answers. Scores are
 * standardised too, in `unit`, so that one grid of λ suits all.
 */
function design (
  set: StateSet, used: readonly number[], scale: { mean: Float64Array, std: Float64Array }
): { rows: Rows, targets: Float64Array, groups: string[], unit: { mean: number, std: number } } {
  const width = scale.mean.length
  const values = new Float32Array(set.samples.length * used.length * width)
  const targets = new Float64Array(set.samples.length * used.length)
  const unit = set.kind === 'scores' ? meanAndStd(set.samples.map(({ label }) => label)) : { mean: 0, std: 1 }
  const groups: string[] = []
  const read = (answer: number, index: number): Float32Array =>
    withLength(set.states[answer]![index]!, Math.log(set.lengths[answer]!))
  for (const { answer, against, label, group } of set.samples) {
    for (const index of used) {
      const row = groups.length
      const left = read(answer, index)
      const right = against === null ? scale.mean : read(against, index)
      for (let i = 0; i < width; i++) values[row * width + i] = (left[i]! - right[i]!) / scale.std[i]!
      targets[row] = (label - unit.mean) / unit.std
      groups.push(group)
    }
  }
  return { rows: denseRows(values, width), targets, groups, unit }
}
