import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  distinctPairs, expectedAtBest, overPrompts, meanOverPrompts, pooledKl, sizeAtKl
} from '../../../src/evaluation/statistics.js'

/** All ways of taking n of N. */
function subsets (count: number, n: number, from = 0): number[][] {
  if (n === 0) return [[]]
  return Array.from({ length: count - from }, (_, offset) => from + offset)
    .flatMap(first => subsets(count, n - 1, first + 1).map(rest => [first, ...rest]))
}

const close = (
  a: number, b: number, within = 1e-12
): void => { assert.ok(Math.abs(a - b) < within, `${a} is not ${b}`) }

test('the expected value at the best of n is the mean over all ways of drawing n', () => {
  const [keys, values] = [[0.3, -1, 2, 0.7, 5, -3], [10, 20, 3, -4, 0.5, 6]]
  for (let n = 1; n <= keys.length; n++) {
    const chosen =
      subsets(keys.length, n).map(drawn => values[drawn.reduce((best, one) => keys[one]! > keys[best]! ? one : best)]!)
    close(expectedAtBest(keys, values, n), chosen.reduce((sum, value) => sum + value, 0) / chosen.length)
  }
  close(expectedAtBest(keys, values, 2.5), (expectedAtBest(keys, values, 2) + expectedAtBest(keys, values, 3)) / 2)
})

test('among equal keys every answer is as likely', () => {
  close(expectedAtBest([1, 1, 0], [4, 8, 100], 3), 6)
  close(expectedAtBest([2, 2, 2, 2], [1, 2, 3, 6], 2), 3)
})

test('the KL of best-of-n from a pool is that of the distribution it names, and below its bound', () => {
  const keys = [1, 2, 3, 4, 5]
  const n = 3
  // P(the k-th smallest is the largest of n draws with replacement) = (k/5)^n − ((k−1)/5)^n
  const exact =
    keys.reduce((sum, k) => { const p = (k / 5) ** n - ((k - 1) / 5) ** n; return sum + p * Math.log(5 * p) }, 0)
  close(pooledKl(keys, n), exact)
  close(pooledKl(keys, 1), 0)
  close(pooledKl([7, 7, 7], 16), 0)
  const fine = Array.from({ length: 5000 }, (_, index) => index)
  for (const size of [2, 4, 8]) close(pooledKl(fine, size), Math.log(size) - (size - 1) / size, 0.01)
  assert.ok(pooledKl(fine, 8) < Math.log(8) - 7 / 8)
})

test('the n of a KL bound is found again', () => {
  for (const n of [1, 2, 5.5, 64]) close(sizeAtKl(Math.log(n) - (n - 1) / n, 64), n, 1e-5)
})

test('intervals over prompts hold the mean, are the same each time and shrink with more prompts', () => {
  const few = Array.from({ length: 10 }, (_, index) => index % 5)
  const many = Array.from({ length: 1000 }, (_, index) => index % 5)
  const [a, b] = [meanOverPrompts(few), meanOverPrompts(many)]
  assert.deepEqual(a, meanOverPrompts(few))
  assert.equal(a.value, 2)
  assert.ok(a.low < 2 && a.high > 2)
  // The standard error of the mean is √2 / √1000; 95 % are 1.96 of them each way.
  close((b.high - b.low) / 2, 1.96 * Math.sqrt(2 / 1000), 0.01)
  assert.equal(overPrompts([3], items => items[0]!).high, Infinity)
})

test('distinct-2 counts pairs of words', () => {
  assert.equal(distinctPairs('the cat the cat the cat'), 2 / 5)
  assert.equal(distinctPairs('One.'), 1)
})
