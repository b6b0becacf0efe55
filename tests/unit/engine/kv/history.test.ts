/** Which KV stands in for a computation. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commonLength, coveredLength, decodeRun, prefillRun } from '../../../../src/engine/kv/history.js'

test('histories are equal where tokens and ways of running are', () => {
  const a = { tokens: [1, 2, 3, 4], runs: [prefillRun, prefillRun, decodeRun] }
  assert.equal(commonLength(a, a), 3)
  assert.equal(commonLength(a, { tokens: [1, 2, 3, 4], runs: [prefillRun, prefillRun, prefillRun, prefillRun] }), 2)
  assert.equal(coveredLength(a, [1, 2, 3]), 2)
  assert.equal(coveredLength(a, [1, 9]), 1)
})
