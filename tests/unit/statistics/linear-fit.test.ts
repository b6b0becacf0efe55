import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../../src/package-root.js'
import {
  chooseLambda, columnScale, denseRows, fitBradleyTerry, fitLinear, fitLogistic, logisticLoss, squaredLoss, unscale
} from '../../../src/statistics/linear-fit.js'

/** Made with scikit-learn 1.x: LogisticRegression(C=1/(Nλ), tol=1e-12), with and without intercept. */
const fixture = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/rewards-fit.json'), 'utf8')) as {
  rows: number[][],
  labels: number[],
  logistic: { lambda: number, weights: number[], intercept: number },
  bradleyTerry: { lambda: number, weights: number[] }
}
const rows = denseRows(Float64Array.from(fixture.rows.flat()), 3)

function closeTo (actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  for (let i = 0; i < expected.length; i++) {
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= tolerance,
      `${actual[i]} is not within ${tolerance} of ${expected[i]}`)
  }
}

test('a logistic fit finds scikit-learn’s weights and intercept', () => {
  const fit = fitLogistic(rows, fixture.labels, { lambda: fixture.logistic.lambda, intercept: true })
  closeTo(fit.weights, fixture.logistic.weights, 1e-5)
  closeTo([fit.intercept], [fixture.logistic.intercept], 1e-5)
})

test('a Bradley–Terry fit finds scikit-learn’s weights on differences told both ways', () => {
  const fit = fitBradleyTerry(rows, { lambda: fixture.bradleyTerry.lambda })
  closeTo(fit.weights, fixture.bradleyTerry.weights, 1e-5)
  assert.equal(fit.intercept, 0)
})

test('one pair of one feature has the optimum of hand: σ(−w) = λw', () => {
  const { weights } = fitBradleyTerry(denseRows(Float64Array.of(1), 1), { lambda: 0.2 })
  closeTo([1 / (1 + Math.exp(weights[0]!))], [0.2 * weights[0]!], 1e-6)
})

test('a penalty factor holds one weight down', () => {
  const same = denseRows(Float64Array.of(1, 1, -1, -1), 2)
  const { weights } = fitLogistic(same, [1, -1], { lambda: 0.1, intercept: false, penalties: Float64Array.of(1, 100) })
  closeTo([weights[0]! / weights[1]!], [100], 1e-2)
})

test('cross-validation prefers a strong penalty on noise and never splits a group', () => {
  // Each group holds a point and its copy under the opposite label, so nothing can be learnt: accuracy is ½ for every
  // λ.
  const values = Float64Array.from({ length: 40 }, (_, i) => Math.sin(1 + Math.floor(i / 2)))
  const labels = Array.from({ length: 40 }, (_, i) => i % 2 === 0 ? 1 : -1)
  const groups = labels.map((_, i) => `group ${Math.floor(i / 2)}`)
  assert.deepEqual(chooseLambda(denseRows(values, 1), labels, groups, logisticLoss, { intercept: false }),
    { lambda: 3, gain: 0.5 })
})

test('separable data are separated', () => {
  const values = Float64Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? 1 : -1) * (0.1 + i / 50))
  const labels = Array.from({ length: 50 }, (_, i) => i % 2 === 0 ? 1 : -1)
  const { gain } =
    chooseLambda(denseRows(values, 1), labels, labels.map((_, i) => `${i}`), logisticLoss, { intercept: true })
  assert.equal(gain, 1)
})

test('a fit on standardised columns scores raw columns alike, and a constant column does no harm', () => {
  const raw = [Float32Array.of(1, 5), Float32Array.of(3, 5)]
  const scale = columnScale(raw)
  assert.deepEqual([...scale.mean, ...scale.std], [2, 5, 1, 1])
  // ln 8 has no exact mean over 60 rows; its spread is rounding.
  assert.deepEqual([...columnScale(Array.from({ length: 60 }, () => Float32Array.of(Math.log(8), 0))).std], [1, 1])
  const { weights, bias } = unscale({ weights: Float64Array.of(2, 4), intercept: 0.5 }, scale)
  assert.equal(weights[0]! * 3 + weights[1]! * 5 + bias, 2 * 1 + 4 * 0 + 0.5)
})

test('least squares find the line through points, and ridge the optimum of hand', () => {
  const line = fitLinear(denseRows(Float64Array.of(0, 1, 2), 1), [1, 3, 5], squaredLoss, { lambda: 0, intercept: true })
  closeTo([line.weights[0]!, line.intercept], [2, 1], 1e-5)
  // (1/N) Σ x(wx − y) + λw = 0 with x = 1, 2 and y = 2, 4: (5w − 10)/2 + w = 0.
  const ridge = fitLinear(denseRows(Float64Array.of(1, 2), 1), [2, 4], squaredLoss, { lambda: 1, intercept: false })
  closeTo(ridge.weights, [10 / 7], 1e-5)
})

test('cross-validation of least squares prefers the weak penalty where the line is exact', () => {
  const values = Float64Array.from({ length: 30 }, (_, i) => i / 10)
  const { lambda, gain } = chooseLambda(denseRows(values, 1), [...values].map(x => 3 * x), [...values].map(String),
    squaredLoss, { intercept: true })
  assert.equal(lambda, 0.003)
  assert.ok(gain <= 0 && gain > -1e-3)
})
