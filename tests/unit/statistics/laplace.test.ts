import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StateSet } from '../../../src/fitting/held-out-figures.js'
import {
  denseRows, fitBradleyTerry, fitLinear, logisticLoss, sigmoid, squaredLoss
} from '../../../src/statistics/linear-fit.js'
import { drawHeads } from '../../../src/fitting/fit-head.js'
import { linearScore } from '../../../src/rewards/kinds/head.js'
import { cholesky, drawFits } from '../../../src/statistics/laplace.js'
import { meanAndStd } from '../../../src/statistics/metrics.js'
import { normal, uniform } from '../../../src/statistics/random.js'

const normals = (seed: number): () => number => {
  const random = uniform(seed)
  return () => normal(random)
}

test('a Cholesky factor times its transpose is the matrix', () => {
  const matrix = [4, 0, 0, 2, 5, 0, -1, 0.5, 3]
  const lower = cholesky(Float64Array.from(matrix), 3)
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0
      for (let k = 0; k <= j; k++) sum += lower[i * 3 + k]! * lower[j * 3 + k]!
      assert.ok(Math.abs(sum - matrix[i * 3 + j]!) < 1e-12)
    }
  }
  assert.throws(() => cholesky(Float64Array.of(1, 0, 2, 1), 2), /not positive definite at row 1/)
})

/** Covariance of weights i and j over draws, around the fit. */
function covariance (
  draws: ReadonlyArray<{ readonly weights: Float64Array }>, center: Float64Array, i: number, j: number
): number {
  return draws.reduce((sum, { weights }) => sum + (weights[i]! - center[i]!) * (weights[j]! - center[j]!), 0) /
    draws.length
}

test('Bradley–Terry draws have the fit as their mean and the inverse of N·λ + Σ p(1 − p) z zᵀ as their ' +
  'covariance', () => {
  const random = normals(1)
  const values = Float64Array.from({ length: 60 * 2 }, (_, i) => random() + (i % 2 === 0 ? 0.5 : 0))
  const rows = denseRows(values, 2)
  const lambda = 0.1
  const fit = fitBradleyTerry(rows, { lambda })
  let [a, b, d] = [60 * lambda, 0, 60 * lambda]
  for (let row = 0; row < 60; row++) {
    const [x, y] = [values[2 * row]!, values[2 * row + 1]!]
    const p = sigmoid(rows.dot(row, fit.weights))
    a += p * (1 - p) * x * x
    b += p * (1 - p) * x * y
    d += p * (1 - p) * y * y
  }
  const determinant = a * d - b * b
  const options = { lambda, penalties: Float64Array.of(1, 1), intercept: false, rowsPerSample: 1, noise: 1 }
  const draws = drawFits(rows, new Int8Array(60).fill(1), logisticLoss, fit, options, 20000, normals(2))
  for (const [i, j, expected] of [[0, 0, d / determinant], [1, 1, a / determinant],
    [0, 1, -b / determinant]] as const) {
    const found = covariance(draws, fit.weights, i, j)
    assert.ok(Math.abs(found - expected) < 0.05 * Math.sqrt(a * d) / determinant,
      `${i} ${j}: ${found} against ${expected}`)
  }
  const few = drawFits(rows, new Int8Array(60).fill(1), logisticLoss, fit, options, 4, normals(3))
  for (const i of [0, 1]) {
    assert.ok(Math.abs(few.reduce((sum, { weights }) => sum + weights[i]!, 0) / 4 - fit.weights[i]!) < 1e-12)
  }
  assert.ok(few.every(({ intercept }) => intercept === 0))
})

test('rows that stand for one observation count as one, and noise widens', () => {
  const random = normals(4)
  const once = Float64Array.from({ length: 40 }, random)
  const thrice = Float64Array.from({ length: 120 }, (_, i) => once[Math.floor(i / 3)]!)
  const targets = once.map(value => 2 * value + 0.1 * random())
  const spread = (values: Float64Array, rowsPerSample: number, noise: number): number => {
    const rows = denseRows(values, 1)
    const own = Float64Array.from(values, (_, i) => targets[Math.floor(i / rowsPerSample)]!)
    const fit = fitLinear(rows, own, squaredLoss, { lambda: 0.01, intercept: true })
    return covariance(drawFits(rows, own, squaredLoss, fit,
      { lambda: 0.01, penalties: Float64Array.of(1), intercept: true, rowsPerSample, noise }, 50, normals(5)),
    fit.weights, 0, 0)
  }
  assert.ok(Math.abs(spread(thrice, 3, 1) / spread(once, 1, 1) - 1) < 1e-6)
  assert.ok(Math.abs(spread(once, 1, 4) / spread(once, 1, 1) - 4) < 1e-6)
})

test('heads drawn around a fit agree where there were data and differ where there were none', () => {
  // The first feature varied and decided the pairs; the second hardly varied in the data.
  const random = normals(6)
  const answers = Array.from({ length: 200 }, () => ({ messages: [], text: 'x' }))
  const states = answers.map((_, i) =>
    [0, 1, 2, 3].map(() => Float32Array.of((i % 2 === 0 ? 1 : -1) + 0.3 * random(), 0.01 * random())))
  const set: StateSet = {
    kind: 'pairs',
    answers,
    states,
    lengths: answers.map(() => 10),
    samples: Array.from({ length: 100 },
      (_, i) => ({ answer: 2 * i, against: 2 * i + 1, label: 1, group: `prompt ${i}` }))
  }
  const heads = drawHeads(set, true, 0.03, 0, 16, normals(7))
  const std = (...state: number[]): number =>
    meanAndStd(heads.map(({ weights, bias }) => linearScore(weights, bias, Float32Array.from(state)))).std
  assert.ok(std(0, 1) > 5 * std(1, 0), `${std(0, 1)} against ${std(1, 0)}`)
})
