/**
 * Linear fits, in plain arithmetic: logistic for labels, Bradley–Terry for pairs (logistic on differences, all of label
 * 1, without intercept), least squares for numbers, and the choice of λ by cross-validation. Knows numbers and groups;
 * where features come from is `features.ts`.
 */
import { minimize } from './lbfgs.js'

/** A design matrix: N rows of `width` numbers, dense or sparse. */
export interface Rows {
  readonly count: number
  readonly width: number
  /** row · weights. `weights` may be longer than `width`. */
  dot (row: number, weights: Float64Array): number
  /** target += scale · row. */
  addTo (row: number, scale: number, target: Float64Array): void
}

/** Rows over one array, row-major, N · width numbers. */
export function denseRows (values: Float32Array | Float64Array, width: number): Rows {
  return {
    count: values.length / width,
    width,
    dot (row, weights) {
      let sum = 0
      for (let i = 0, at = row * width; i < width; i++, at++) sum += values[at]! * weights[i]!
      return sum
    },
    addTo (row, scale, target) {
      for (let i = 0, at = row * width; i < width; i++, at++) target[i]! += scale * values[at]!
    }
  }
}

/** What is minimised, and over which rows. */
export interface LinearOptions {
  /** λ of (λ/2)‖w‖², ≥ 0. */
  readonly lambda: number
  /** Fit an unpenalised constant too. Off for pairs. */
  readonly intercept: boolean
  /** Per weight, a factor on λ. Default 1 everywhere. */
  readonly penalties?: Float64Array
  /** Rows to use. Default all. */
  readonly rows?: readonly number[]
  /** Largest gradient entry at which the fit is done. Default 1e-6. */
  readonly tolerance?: number
  /** Where to start: a former fit's `weights` and `intercept`. */
  readonly start?: LinearFit
}

/** The minimum that was found. */
export interface LinearFit {
  readonly weights: Float64Array
  /** 0 where none was fitted. */
  readonly intercept: number
}

/** ln(1 + e^x) without overflow. */
export const softplus = (x: number): number => x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x))

/** 1 / (1 + e^−x). */
export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** What a fit minimises: a function of a row's score and its target, convex in the score. */
export interface Loss {
  value (score: number, target: number): number
  /** Derivative by the score. */
  slope (score: number, target: number): number
  /** Second derivative by the score. */
  curvature (score: number, target: number): number
  /** How good a score is on held-out rows: higher is better. */
  gain (score: number, target: number): number
}

/** ln(1 + exp(−y·s)) for labels y of +1 and −1; the gain is accuracy, ties ½. */
export const logisticLoss: Loss = {
  value: (score, label) => softplus(-label * score),
  slope: (score, label) => -label * sigmoid(-label * score),
  curvature: score => sigmoid(score) * sigmoid(-score),
  gain: (score, label) => score === 0 ? 0.5 : Number(score * label > 0)
}

/** ½(s − y)² for any number y; the gain is the negative squared error. */
export const squaredLoss: Loss = {
  value: (score, target) => (score - target) ** 2 / 2,
  slope: (score, target) => score - target,
  curvature: () => 1,
  gain: (score, target) => -((score - target) ** 2)
}

/** Minimises (1/N) Σ loss(w·x + b, target) + (λ/2) Σ penalty·w². @param targets per row of the design */
export function fitLinear (
  design: Rows, targets: ArrayLike<number>, loss: Loss,
  { lambda, intercept, penalties, rows = range(design.count), tolerance = 1e-6, start }: LinearOptions
): LinearFit {
  const { width } = design
  const initial = new Float64Array(width + 1)
  if (start) {
    initial.set(start.weights)
    initial[width] = start.intercept
  }
  const solution = minimize((x, gradient) => {
    gradient.fill(0)
    let sum = 0
    for (const row of rows) {
      const score = design.dot(row, x) + x[width]!
      sum += loss.value(score, targets[row]!)
      const pull = loss.slope(score, targets[row]!) / rows.length
      design.addTo(row, pull, gradient)
      gradient[width]! += pull
    }
    if (!intercept) gradient[width] = 0
    sum /= rows.length
    for (let i = 0; i < width; i++) {
      const penalty = lambda * (penalties?.[i] ?? 1)
      sum += penalty / 2 * x[i]! ** 2
      gradient[i]! += penalty * x[i]!
    }
    return sum
  }, initial, { tolerance })
  return { weights: solution.slice(0, width), intercept: solution[width]! }
}

/** A logistic fit. @param labels per row of the design, +1 or −1 */
export function fitLogistic (design: Rows, labels: ArrayLike<number>, options: LinearOptions): LinearFit {
  return fitLinear(design, labels, logisticLoss, options)
}

/**
 * Bradley–Terry: minimises −(1/N) Σ log σ(w·(φ⁺ − φ⁻)) + (λ/2) Σ penalty·w².
 * @param differences φ⁺ − φ⁻ per pair
 */
export function fitBradleyTerry (differences: Rows, options: Omit<LinearOptions, 'intercept'>): LinearFit {
  return fitLogistic(differences, new Int8Array(differences.count).fill(1), { ...options, intercept: false })
}

/** The λ tried, from strong to weak; a fit starts from its stronger neighbour's. */
export const lambdaGrid = [3, 1, 0.3, 0.1, 0.03, 0.01, 0.003] as const

/** A λ and its cross-validated gain (for labels and pairs: accuracy). */
export interface LambdaChoice { readonly lambda: number, readonly gain: number }

/**
 * λ by the cross-validated gain of the loss; among equals the strongest.
 * Rows of one group are never split between fit and check.
 * @param groups per row, any key
 * @param folds default 5
 */
export function chooseLambda (
  design: Rows, targets: ArrayLike<number>, groups: readonly string[], loss: Loss,
  options: Omit<LinearOptions, 'lambda' | 'rows' | 'start' | 'tolerance'>, folds = 5
): LambdaChoice {
  const fold = foldOfRows(groups, folds)
  const gains = new Float64Array(lambdaGrid.length)
  for (let held = 0; held < folds; held++) {
    const rows = range(design.count).filter(row => fold[row] !== held)
    const check = range(design.count).filter(row => fold[row] === held)
    if (rows.length === 0) continue
    let fit: LinearFit | undefined
    for (const [index, lambda] of lambdaGrid.entries()) {
      fit = fitLinear(design, targets, loss, { ...options, lambda, rows, tolerance: 1e-4, ...(fit && { start: fit }) })
      for (const row of check) gains[index]! += loss.gain(design.dot(row, fit.weights) + fit.intercept, targets[row]!)
    }
  }
  const best = Math.max(...gains)
  return { lambda: lambdaGrid[gains.indexOf(best)]!, gain: best / design.count }
}

/** Deals the groups out to the folds in the order they first appear. */
function foldOfRows (groups: readonly string[], folds: number): Int32Array {
  const order = new Map<string, number>()
  for (const group of groups) if (!order.has(group)) order.set(group, order.size)
  return Int32Array.from(groups, group => order.get(group)! % folds)
}

function range (count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

/**
 * Mean and standard deviation per column; a column that is constant within rounding gets 1, so that dividing by it is
 * safe.
 */
export interface ColumnScale { readonly mean: Float64Array, readonly std: Float64Array }

/** A spread below this share of the mean is float32's rounding. */
const constantShare = 1e-6

/** Column statistics of rows of equal length, in two passes. */
export function columnScale (rows: readonly Float32Array[]): ColumnScale {
  const width = rows[0]!.length
  const mean = new Float64Array(width)
  const std = new Float64Array(width)
  for (const row of rows) for (let i = 0; i < width; i++) mean[i]! += row[i]! / rows.length
  for (const row of rows) for (let i = 0; i < width; i++) std[i]! += (row[i]! - mean[i]!) ** 2 / rows.length
  for (let i = 0; i < width; i++) {
    std[i] = Math.sqrt(std[i]!) > constantShare * Math.abs(mean[i]!) ? Math.sqrt(std[i]!) : 1
  }
  return { mean, std }
}

/** A fit on standardised features as weights and bias on the features themselves. */
export function unscale (fit: LinearFit, { mean, std }: ColumnScale): { weights: Float64Array, bias: number } {
  const weights = new Float64Array(mean.length)
  let bias = fit.intercept
  for (let i = 0; i < mean.length; i++) {
    weights[i] = fit.weights[i]! / std[i]!
    bias -= weights[i]! * mean[i]!
  }
  return { weights, bias }
}
