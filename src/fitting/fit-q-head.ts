/**
 * Fits a Q-head to what the policy's most probable tokens add to a head's score in answers of its own, and measures how
 * it ranks them in answers to prompts that it was not fitted on. Least squares over a low-rank bilinear form with
 * linear terms, on standardised states and embeddings.
 */
import { RequestError } from '../errors.js'
import { drawing, drawPositions, type DrawOptions, type Position } from './draw-positions.js'
import { columnScale, type ColumnScale } from '../statistics/linear-fit.js'
import type { Head } from '../rewards/kinds/head.js'
import { minimize } from '../statistics/lbfgs.js'
import { clusteredMean, meanAndStd, rankCorrelation } from '../statistics/metrics.js'
import type { ReadablePolicy } from '../rewards/readable-policy.js'
import { uniform } from '../statistics/random.js'
import { encodeFloats, TokenForm, type QHead } from '../rewards/kinds/q-head.js'
import type { ChatMessage } from '../rewards/scorer.js'

/** What a Q-head is fitted for and on. */
export interface QHeadRequest {
  readonly policy: ReadablePolicy
  /** Mean-pooled, with a prefix member. */
  readonly head: Head
  /** Prompts to draw answers to, at least ten; a fifth of them is held out unless `test` is given. */
  readonly prompts: ReadonlyArray<readonly ChatMessage[]>
  readonly test?: ReadonlyArray<readonly ChatMessage[]>
  /** What the held-out prompts are, for the card. */
  readonly split?: string
  readonly answersPerPrompt: number
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/**
 * Products of the bilinear form beside the two linear ones, its penalty (λ/2)‖·‖² and the most steps of the fit: chosen
 * on the reward `positive`.
 */
const settings = { terms: 8, regularization: 0.1, iterations: 60 } as const

/** Prompts to draw answers to. */
export const fewestPrompts = 10
/** Answers to each held-out prompt. */
const heldOutAnswers = 2

/** What a form is fitted on: states and embeddings standardised, D numbers each, and in which unit. */
interface Inputs {
  readonly width: number
  readonly states: readonly Float32Array[]
  readonly embeddings: ReadonlyMap<number, Float32Array>
  readonly positions: readonly Position[]
  /** Of what tokens add. */
  readonly unit: { readonly mean: number, readonly std: number }
}

/**
 * Fits the next-token member of a head.
 * @throws RequestError for a head that cannot have one, or too few prompts; the signal's reason when aborted
 */
export async function fitQHead (request: QHeadRequest): Promise<QHead> {
  const { policy, head, answersPerPrompt, onProgress, signal } = request
  if (head.pooling !== 'mean' || !head.members.prefix) {
    throw new RequestError('invalid_request', 'a Q-head requires a head with pooling mean that was fitted on prefixes')
  }
  const { train, test, split } = splitPrompts(request)
  const layer = head.layer
  const [drawn, heldOut] = [train.length * answersPerPrompt, test.length * heldOutAnswers]
  const options = (answers: number, from: number): DrawOptions => ({
    layer,
    answersPerPrompt: answers,
    ...(signal && { signal }),
    ...(onProgress && { onProgress: (done: number) => { onProgress(from + done, drawn + heldOut) } })
  })
  const positions = await drawPositions(policy, head, train, options(answersPerPrompt, 0))
  const held = await drawPositions(policy, head, test, options(heldOutAnswers, drawn))
  const form = fitForm(positions, token => policy.embedding(token))
  return {
    layer,
    ...form,
    fit: {
      prompts: train.length,
      positions: positions.length,
      values: positions.reduce((sum, { tokens }) => sum + tokens.length, 0),
      regularization: settings.regularization
    },
    metrics: {
      ...rankMetrics(new TokenForm(form, head.weights.length), held, token => policy.embedding(token)),
      candidates: drawing.candidates,
      split
    }
  }
}

function splitPrompts (
  { prompts, test, split = 'a separate set of prompts' }: QHeadRequest
): { train: QHeadRequest['prompts'], test: QHeadRequest['prompts'], split: string } {
  if (prompts.length < fewestPrompts) {
    throw new RequestError('invalid_request',
      `a Q-head requires at least ${fewestPrompts} prompts to sample answers for; got ${prompts.length}`)
  }
  if (test) return { train: prompts, test, split }
  return {
    train: prompts.filter((_, index) => index % 5 !== 4),
    test: prompts.filter((_, index) => index % 5 === 4),
    split: 'a fifth of the prompts'
  }
}

function standardized (values: Float32Array, { mean, std }: ColumnScale): Float32Array {
  return values.map((value, index) => (value - mean[index]!) / std[index]!)
}

/** A form on raw states and embeddings. */
export function fitForm (positions: readonly Position[], embedding: (token: number) => Float32Array): Pick<QHead, 'rank'
  | 'state' | 'token'> {
  const rows = new Map<number, Float32Array>()
  for (const { tokens } of positions) {
    for (const token of tokens) if (!rows.has(token)) rows.set(token, embedding(token))
  }
  const stateScale = columnScale(positions.map(position => position.state))
  const tokenScale = columnScale([...rows.values()])
  const inputs: Inputs = {
    width: stateScale.mean.length,
    states: positions.map(position => standardized(position.state, stateScale)),
    embeddings: new Map([...rows].map(([token, row]) => [token, standardized(row, tokenScale)])),
    positions,
    unit: meanAndStd(positions.flatMap(position => position.added))
  }
  return rawForm(minimizeForm(inputs), inputs, stateScale, tokenScale)
}

/** The parameters of a form on standardised inputs: Σ_k (A_k·h)(B_k·e) + d·e + c·h + b. A, B: [terms, D]. */
interface Form {
  readonly a: Float64Array,
  readonly b: Float64Array,
  readonly d: Float64Array,
  readonly c: Float64Array,
  readonly constant: number
}

const viewForm = (x: Float64Array, width: number): Form => {
  const size = settings.terms * width
  return {
    a: x.subarray(0, size),
    b: x.subarray(size, 2 * size),
    d: x.subarray(2 * size, 2 * size + width),
    c: x.subarray(2 * size + width, 2 * size + 2 * width),
    constant: x.at(-1)!
  }
}

function dot (row: Float64Array, from: number, vector: Float32Array | Float64Array): number {
  let sum = 0
  for (let i = 0; i < vector.length; i++) sum += row[from + i]! * vector[i]!
  return sum
}

function addScaled (row: Float64Array, from: number, scale: number, vector: Float32Array | Float64Array): void {
  for (let i = 0; i < vector.length; i++) row[from + i]! += scale * vector[i]!
}

/**
 * Minimises the mean of ½(form − value)² plus the penalty. Not convex; from small random numbers, the same each time,
 * it ends in about the same place.
 */
function minimizeForm (inputs: Inputs): Form {
  const { width, positions } = inputs
  const random = uniform(1)
  const start = new Float64Array(2 * settings.terms * width + 2 * width + 1)
  const scale = Math.sqrt(3 / width)
  for (let i = 0; i < 2 * settings.terms * width; i++) start[i] = (2 * random() - 1) * scale
  const count = positions.reduce((sum, { tokens }) => sum + tokens.length, 0)
  return viewForm(minimize((x, gradient) => {
    gradient.fill(0)
    let value = 0
    for (let i = 0; i < x.length - 1; i++) {
      value += settings.regularization / 2 * x[i]! ** 2
      gradient[i] = settings.regularization * x[i]!
    }
    return value + addErrors(viewForm(x, width), viewForm(gradient, width), gradient, inputs, count)
  }, start, { tolerance: 1e-5, maxIterations: settings.iterations }), width)
}

/** Half the mean squared error; adds its gradient. */
function addErrors (
  form: Form, into: Form, gradient: Float64Array, { width, states, embeddings, positions, unit }: Inputs, count: number
): number {
  const factors = new Float64Array(settings.terms)
  const shared = new Float64Array(width)
  const pulled = new Float64Array(width)
  let loss = 0
  for (const [index, { tokens, added }] of positions.entries()) {
    const state = states[index]!
    shared.set(form.d)
    for (let k = 0; k < settings.terms; k++) {
      factors[k] = dot(form.a, k * width, state)
      for (let i = 0; i < width; i++) shared[i]! += factors[k]! * form.b[k * width + i]!
    }
    const offset = dot(form.c, 0, state) + form.constant
    pulled.fill(0)
    let pull = 0
    for (const [place, token] of tokens.entries()) {
      const embedding = embeddings.get(token)!
      const error = dot(shared, 0, embedding) + offset - (added[place]! - unit.mean) / unit.std
      loss += error ** 2 / (2 * count)
      pull += error / count
      addScaled(pulled, 0, error / count, embedding)
    }
    addScaled(into.d, 0, 1, pulled)
    addScaled(into.c, 0, pull, state)
    gradient[gradient.length - 1]! += pull
    for (let k = 0; k < settings.terms; k++) {
      addScaled(into.a, k * width, dot(form.b, k * width, pulled), state)
      addScaled(into.b, k * width, factors[k]!, pulled)
    }
  }
  return loss
}

/** A row on raw inputs, [D + 1], of one on standardised ones: its constant takes the means. */
function rawRow (row: Float64Array, { mean, std }: ColumnScale, scale = 1): number[] {
  const weights = Array.from(row, (weight, index) => scale * weight / std[index]!)
  return [...weights, -weights.reduce((sum, weight, index) => sum + weight * mean[index]!, 0)]
}

function rawForm (
  { a, b, d, c, constant }: Form, { width, unit }: Inputs, stateScale: ColumnScale, tokenScale: ColumnScale
): Pick<QHead, 'rank' | 'state' | 'token'> {
  const rowOf = (matrix: Float64Array, k: number): Float64Array => matrix.subarray(k * width, (k + 1) * width)
  const terms = Array.from({ length: settings.terms }, (_, k) => k)
  const one = [...new Array<number>(width).fill(0), 1]
  const linear = rawRow(d, tokenScale, unit.std)
  linear[width]! += unit.std * constant + unit.mean
  const state = [...terms.map(k => rawRow(rowOf(a, k), stateScale)), one, rawRow(c, stateScale)]
  const token = [...terms.map(k => rawRow(rowOf(b, k), tokenScale, unit.std)), linear,
    one.map(value => value * unit.std)]
  return {
    rank: state.length,
    state: encodeFloats(Float32Array.from(state.flat())),
    token: encodeFloats(Float32Array.from(token.flat()))
  }
}

function rankMetrics (
  form: TokenForm, held: readonly Position[], embedding: (token: number) => Float32Array
): Pick<QHead['metrics'], 'rankCorrelation' | 'standardError' | 'positions' | 'prompts'> {
  const told = held.filter(({ tokens }) => tokens.length > 1)
  const correlations = told.map(({ state, tokens, added }) =>
    rankCorrelation(form.contributions(state, tokens, embedding), added))
  const { value, standardError } = clusteredMean(correlations, told.map(({ prompt }) => String(prompt)))
  return {
    rankCorrelation: Number(value.toFixed(4)),
    standardError: Number(standardError.toFixed(4)),
    positions: told.length,
    prompts: new Set(told.map(({ prompt }) => prompt)).size
  }
}
