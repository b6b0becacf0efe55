/** Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.5) for smooth convex functions. */
import { addScaled, dot } from './vectors.js'

/** Value of a function at `x`; writes its gradient into `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number

/** When it is done. */
export interface MinimizeOptions {
  /** Stop when no entry of the gradient exceeds this. Default 1e-6. */
  readonly tolerance?: number
  /** Default 300. */
  readonly maxIterations?: number
}

/** Pairs of steps and gradient changes kept. */
const memory = 10

/**
 * Minimises a convex function from `start` (left as it is).
 * @returns the minimiser found; where the iterations run out, the best so far
 */
export function minimize (
  objective: Objective, start: Float64Array, { tolerance = 1e-6, maxIterations = 300 }: MinimizeOptions = {}
): Float64Array {
  let x: Float64Array = start.slice()
  let gradient: Float64Array = new Float64Array(x.length)
  let value = objective(x, gradient)
  const history: Array<{ step: Float64Array, change: Float64Array, curvature: number }> = []
  for (let iteration = 0; iteration < maxIterations && maxNorm(gradient) > tolerance; iteration++) {
    const direction = descentDirection(gradient, history)
    const slope = dot(direction, gradient)
    const next =
      lineSearch(objective, x, value, direction, slope, history.length === 0 ? 1 / Math.max(1, norm(gradient)) : 1)
    if (!next) break
    const step = difference(next.x, x)
    const change = difference(next.gradient, gradient)
    const curvature = dot(step, change)
    if (curvature > 1e-14) history.push({ step, change, curvature })
    if (history.length > memory) history.shift()
    x = next.x
    gradient = next.gradient
    value = next.value
  }
  return x
}

/** −H·gradient with the inverse Hessian that the history implies (two-loop recursion). */
function descentDirection (
  gradient: Float64Array, history: ReadonlyArray<{ step: Float64Array, change: Float64Array, curvature: number }>
): Float64Array {
  const q = gradient.slice()
  const alphas = new Float64Array(history.length)
  for (let i = history.length - 1; i >= 0; i--) {
    const { step, change, curvature } = history[i]!
    alphas[i] = dot(step, q) / curvature
    addScaled(q, change, -alphas[i]!)
  }
  const last = history.at(-1)
  const scale = last ? last.curvature / dot(last.change, last.change) : 1
  for (let i = 0; i < q.length; i++) q[i]! *= scale
  for (const [i, { step, change, curvature }] of history.entries()) {
    addScaled(q, step, alphas[i]! - dot(change, q) / curvature)
  }
  for (let i = 0; i < q.length; i++) q[i] = -q[i]!
  return q
}

/** Halves the step until the function falls enough (Armijo); null where it no longer falls within rounding. */
function lineSearch (
  objective: Objective, x: Float64Array, value: number, direction: Float64Array, slope: number, firstStep: number
): { x: Float64Array, value: number, gradient: Float64Array } | null {
  const gradient = new Float64Array(x.length)
  for (let step = firstStep; step > 1e-12; step /= 2) {
    const candidate = x.slice()
    addScaled(candidate, direction, step)
    const candidateValue = objective(candidate, gradient)
    if (candidateValue <= value + 1e-4 * step * slope) return { x: candidate, value: candidateValue, gradient }
  }
  return null
}

const norm = (a: Float64Array): number => Math.sqrt(dot(a, a))

/** The largest magnitude. */
const maxNorm = (a: Float64Array): number => a.reduce((max, value) => Math.max(max, Math.abs(value)), 0)

const difference = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, i) => value - b[i]!)
