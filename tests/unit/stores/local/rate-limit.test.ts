import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateLimit } from '../../../../src/stores/local/rate-limit.js'

test('a limit fills evenly, up to itself, and may be overdrawn', async () => {
  let now = 1000
  const limit = new RateLimit(600, () => now)
  const look = async (): Promise<readonly number[]> => {
    const { remaining, waitMs, resetMs } = await limit.look()
    return [remaining, waitMs, resetMs]
  }
  assert.deepEqual(await look(), [600, 0, 0])
  limit.spend(900)
  // 10 a second: 301 are missing to have one.
  assert.deepEqual(await look(), [0, 30_100, 90_000])
  now += 30_000
  assert.deepEqual((await look()).slice(0, 2), [0, 100])
  now += 100
  assert.deepEqual((await look()).slice(0, 2), [1, 0])
  now += 1e9
  assert.equal((await limit.look()).remaining, 600)
})

test('one is taken where one can be had', async () => {
  const limit = new RateLimit(2, () => 0)
  const taken = [await limit.take(), await limit.take(), await limit.take()]
  assert.deepEqual(taken.map(({ remaining, waitMs }) => [remaining, waitMs]), [[1, 0], [0, 0], [0, 30_000]])
})
