import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../../src/package-root.js'
import {
  areaUnderCurve, calibrationError, clusteredMean, meanAndStd, correctness
} from '../../../src/statistics/metrics.js'

const fixture = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/rewards-fit.json'),
  'utf8')) as { labels: number[], auc: { scores: number[], value: number } }

test('a margin is right when it has the label’s sign, and half right at 0', () => {
  assert.deepEqual(correctness([2, -1, 0, -3], [1, 1, 1, -1]), [1, 0, 0.5, 1])
})

test('errors go by cluster: two clusters that agree within and differ between count as two observations', () => {
  const { value, standardError } = clusteredMean([1, 1, 0, 0], ['a', 'a', 'b', 'b'])
  assert.equal(value, 0.5)
  // Sums of deviations ±1; √(2/1 · (1 + 1)) / 4 = 0.5. As four independent ones it would be 0.29.
  assert.equal(standardError, 0.5)
  assert.equal(clusteredMean([1, 0], ['a', 'a']).standardError, Infinity)
})

test('the area under the curve counts ties as half and equals scikit-learn’s', () => {
  assert.equal(areaUnderCurve([1, 2, 2, 3], [-1, -1, 1, 1]), 0.875)
  assert.ok(Math.abs(areaUnderCurve(fixture.auc.scores, fixture.labels) - fixture.auc.value) < 1e-12)
})

test('calibration error is the gap between probability and share, weighted by bin', () => {
  // logit 0 → probability 0.5: two labels of +1 are a gap of 0.5; ln 9 → 0.9: one right, gap 0.1. (2·0.5 + 1·0.1)/3
  assert.ok(Math.abs(calibrationError([0, 0, Math.log(9)], [1, 1, 1]) - 1.1 / 3) < 1e-12)
})

test('mean and standard deviation are the population’s', () => {
  assert.deepEqual(meanAndStd([1, 3]), { mean: 2, std: 1 })
})
