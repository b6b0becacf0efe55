import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryGrowth } from '../../../bench/soak/memory.js'
import { drawRequest } from '../../../bench/soak/requests.js'
import { parseAlignment } from '../../../src/decoding/strategies/parse-alignment.js'
import { strategyNames } from '../../../src/decoding/strategies/strategy-schemas.js'
import { uniform } from '../../../src/statistics/random.js'

const noise = uniform(5)
const samples = (megabytesPerMinute: number): Array<{ seconds: number, bytes: number }> =>
  Array.from({ length: 600 }, (_, seconds) => ({
    seconds, bytes: 1e6 * (500 + (seconds < 200 ? seconds : 200) + megabytesPerMinute * seconds / 60 + 20 * noise())
  }))

test('memory that grows while caches fill and then stays is no leak; memory that goes on growing is', () => {
  const steady = memoryGrowth(samples(0))!
  assert.ok(!steady.leaks && Math.abs(steady.megabytesPerMinute) < 4 * steady.standardError + 0.5)
  const leaking = memoryGrowth(samples(12))!
  assert.ok(leaking.leaks && Math.abs(leaking.megabytesPerMinute - 12) < 2)
  assert.equal(memoryGrowth(samples(0).slice(0, 20)), null)
})

test('a soak sends every strategy with valid parameters, aborts some requests and lets some be refused', () => {
  const random = uniform(1)
  const drawn = Array.from({ length: 2000 }, () =>
    drawRequest(random, { model: 'm', maxTokens: 8, reward: 'positive', streams: true }))
  const guided = drawn.filter(({ kind }) => strategyNames.some(name => name === kind))
  assert.deepEqual([...new Set(guided.map(({ kind }) => kind))].sort(), [...strategyNames].sort())
  for (const { body } of guided) parseAlignment(body['alignment'])
  assert.ok(drawn.some(({ abortAfterMs }) => abortAfterMs !== null && abortAfterMs < 1000))
  assert.ok(drawn.some(({ refusal }) => refusal))
  const again = uniform(1)
  assert.deepEqual(drawn[0], drawRequest(again, { model: 'm', maxTokens: 8, reward: 'positive', streams: true }))
})
