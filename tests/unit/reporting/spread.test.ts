import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ratioOf, showSpread, spreadOf } from '../../../src/reporting/spread.js'

test('the median of an even number of values is the mean of the middle two', () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, least: 1, most: 3 })
  assert.deepEqual(spreadOf([4, 1, 2, 8]), { median: 3, least: 1, most: 8 })
  assert.throws(() => spreadOf([]), /at least one/)
})

test('ratios are taken turn by turn: a slow spell that both share leaves them alone', () => {
  assert.deepEqual(ratioOf([100, 50, 100], [50, 25, 50]), { median: 2, least: 2, most: 2 })
  // The ratio of the medians would be 1.
  assert.equal(ratioOf([10, 20, 30], [20, 30, 10])!.median, 2 / 3)
  // A turn that only one of them had does not count.
  assert.deepEqual(ratioOf([6], [2, 1]), { median: 3, least: 3, most: 3 })
  assert.equal(ratioOf([1], []), null)
})

test('a spread is shown with its ends', () => {
  assert.equal(showSpread({ median: 1, least: 0.5, most: 2.25 }), '1.00 (0.50–2.25)')
})
