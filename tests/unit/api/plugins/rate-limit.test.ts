import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationText, RateLimit, rateHeaders } from '../../../../src/api/plugins/rate-limit.js'

test('a limit fills evenly, up to itself, and may be overdrawn', () => {
  let now = 1000
  const limit = new RateLimit(600, () => now)
  assert.deepEqual([limit.remaining, limit.waitMs, limit.resetMs], [600, 0, 0])
  limit.spend(900)
  // 10 a second: 301 are missing to have one.
  assert.deepEqual([limit.remaining, limit.waitMs, limit.resetMs], [0, 30_100, 90_000])
  now += 30_000
  assert.deepEqual([limit.remaining, limit.waitMs], [0, 100])
  now += 100
  assert.deepEqual([limit.remaining, limit.waitMs], [1, 0])
  now += 1e9
  assert.equal(limit.remaining, 600)
})

test('durations read as OpenAI’s', () => {
  assert.deepEqual([0, 11.2, 999, 7450, 59_900, 60_000, 360_000, 3_599_999].map(durationText),
    ['0ms', '12ms', '999ms', '7.5s', '59.9s', '1m0s', '6m0s', '60m0s'])
})

test('headers tell the limits there are', () => {
  const limit = new RateLimit(60, () => 0)
  limit.spend(1)
  assert.deepEqual(rateHeaders({ requests: limit, tokens: null }),
    { 'x-ratelimit-limit-requests': '60', 'x-ratelimit-remaining-requests': '59', 'x-ratelimit-reset-requests': '1s' })
})
