/**
 * How sure a linear fit is of its weights: Laplace's approximation, a normal distribution around the fit whose
 * precision is the curvature of what was minimised, A = N·λ·diag(penalties) + Σ curvature · z zᵀ (for Bradley–Terry
 * curvature is p(1 − p)). Knows numbers, not states.
 */
import type { LinearFit, Loss, Rows } from './linear-fit.js'

/** The fit that the distribution is about: what it minimised. */
export interface LaplaceOptions {
  readonly lambda: number
  /** Per weight, a factor on λ. */
  readonly penalties: Float64Array
  /** Whether the fit has a constant; it is then drawn too. */
  readonly intercept: boolean
  /**
   * Rows that stand for one observation together, such as the prefixes of one answer: each counts as so much of one.
   */
  readonly rowsPerSample: number
  /**
   * Variance of what the fit cannot explain: 1 for logistic losses, whose curvature has it; the error's for least
   * squares.
   */
  readonly noise: number
}

/** A constant is not penalised; this much precision keeps it finite where there is no data. */
const minPrecision = 1e-6

/** Precision of weights and constant (last), row-major, (D + 1)². */
function precision (
  design: Rows, targets: ArrayLike<number>, loss: Loss, fit: LinearFit,
  { lambda, penalties, intercept, rowsPerSample, noise }: LaplaceOptions
): Float64Array {
  const size = design.width + 1
  const matrix = new Float64Array(size * size)
  const row = new Float64Array(size)
  for (let index = 0; index < design.count; index++) {
    row.fill(0)
    design.addTo(index, 1, row)
    row[size - 1] = intercept ? 1 : 0
    const weight = loss.curvature(design.dot(index, fit.weights) + fit.intercept, targets[index]!) / rowsPerSample
    for (let i = 0; i < size; i++) {
      const scaled = weight * row[i]!
      if (scaled === 0) continue
      for (let j = 0, at = i * size; j <= i; j++, at++) matrix[at]! += scaled * row[j]!
    }
  }
  const samples = design.count / rowsPerSample
  for (let i = 0; i < size; i++) {
    matrix[i * size + i]! += i < design.width ? samples * lambda * penalties[i]! : minPrecision
    for (let j = 0; j <= i; j++) matrix[i * size + j]! /= noise
  }
  return matrix
}

/** The lower triangle L of a positive definite matrix L·Lᵀ, in place: of `matrix` only the lower triangle is read. */
export function cholesky (matrix: Float64Array, size: number): Float64Array {
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * size + j]!
      for (let k = 0, a = i * size, b = j * size; k < j; k++, a++, b++) sum -= matrix[a]! * matrix[b]!
      if (i === j && !(sum > 0)) throw new Error(`the matrix is not positive definite at row ${i}`)
      matrix[i * size + j] = i === j ? Math.sqrt(sum) : sum / matrix[j * size + j]!
    }
  }
  return matrix
}

/** x with Lᵀ·x = b: has covariance (L·Lᵀ)⁻¹ where the entries of b are standard normal. */
function solveTransposed (lower: Float64Array, size: number, b: Float64Array): Float64Array {
  const x = b.slice()
  for (let i = size - 1; i >= 0; i--) {
    x[i]! /= lower[i * size + i]!
    for (let j = 0, at = i * size; j < i; j++, at++) x[j]! -= lower[at]! * x[i]!
  }
  return x
}

/**
 * Fits drawn from the distribution around a fit, moved and stretched so that their mean is the fit itself and their
 * spread, as Σ(…)²/K, is right on average for any number of them.
 * @param normal standard normal numbers
 */
export function drawFits (
  design: Rows, targets: ArrayLike<number>, loss: Loss, fit: LinearFit, options: LaplaceOptions, count: number,
  normal: () => number
): LinearFit[] {
  const size = design.width + 1
  const lower = cholesky(precision(design, targets, loss, fit, options), size)
  const draws = Array.from({ length: count }, () =>
    solveTransposed(lower, size, Float64Array.from({ length: size }, normal)))
  const mean = new Float64Array(size)
  for (const draw of draws) for (let i = 0; i < size; i++) mean[i]! += draw[i]! / count
  const stretch = Math.sqrt(count / (count - 1))
  return draws.map(draw => {
    const moved = draw.map((value, i) => (value - mean[i]!) * stretch)
    return {
      weights: fit.weights.map((weight, i) => weight + moved[i]!),
      intercept: options.intercept ? fit.intercept + moved[size - 1]! : 0
    }
  })
}
