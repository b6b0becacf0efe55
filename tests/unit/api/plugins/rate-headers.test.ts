import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationText, rateHeaders } from '../../../../src/api/plugins/rate-headers.js'
import { rateState } from '../../../../src/stores/rates.js'

test('durations read as OpenAI’s', () => {
  assert.deepEqual([0, 11.2, 999, 7450, 59_900, 60_000, 360_000, 3_599_999].map(durationText),
    ['0ms', '12ms', '999ms', '7.5s', '59.9s', '1m0s', '6m0s', '60m0s'])
})

test('headers tell the limits there are', () => {
  assert.deepEqual(rateHeaders({ requests: rateState(60, 59), tokens: null }),
    { 'x-ratelimit-limit-requests': '60', 'x-ratelimit-remaining-requests': '59', 'x-ratelimit-reset-requests': '1s' })
})
