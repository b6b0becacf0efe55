import assert from 'node:assert/strict'
import { test } from 'node:test'
import { minimize } from '../../../src/statistics/lbfgs.js'

test('an ill-conditioned quadratic is minimised to its known minimum', () => {
  const scales = [1, 100, 1e4]
  const solution = minimize((x, gradient) => {
    let value = 0
    for (const [i, scale] of scales.entries()) {
      gradient[i] = scale * (x[i]! - i)
      value += scale / 2 * (x[i]! - i) ** 2
    }
    return value
  }, Float64Array.of(5, -5, 5), { tolerance: 1e-9 })
  for (const [i] of scales.entries()) assert.ok(Math.abs(solution[i]! - i) < 1e-7)
})

test('the start is left as it is, and a minimum at the start is returned', () => {
  const start = Float64Array.of(0)
  const solution = minimize((x, gradient) => { gradient[0] = 2 * x[0]!; return x[0]! ** 2 }, start)
  assert.deepEqual([start[0], solution[0]], [0, 0])
  assert.notEqual(solution, start)
})
