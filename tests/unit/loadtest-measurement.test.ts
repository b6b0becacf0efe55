import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addUsage, emptySamples, measurementOf, quantiles } from '../../loadtest/measurement.js'
import { scenarios } from '../../loadtest/scenarios.js'

test('quantiles are of the nearest rank', () => {
  assert.equal(quantiles([]), null)
  assert.deepEqual(quantiles([3]), { p50: 3, p99: 3 })
  assert.deepEqual(quantiles([4, 1, 3, 2]), { p50: 2, p99: 4 })
})

test('rates are over the whole run, and discarded candidates count as generated only', () => {
  const samples = emptySamples()
  samples.latencies.push(100, 300)
  for (let i = 0; i < 2; i++) addUsage(samples, { completion_tokens: 10, alignment_details: { generated_tokens: 80 } })
  const measured = measurementOf({ name: 'x', transport: 'http', concurrency: 2 }, samples, 4)
  assert.equal(measured.requestsPerSecond, 0.5)
  assert.equal(measured.outputTokensPerSecond, 5)
  assert.equal(measured.generatedTokensPerSecond, 40)
})

test('every kind of request is sent at every concurrency, WebSockets at the highest', () => {
  const all = scenarios({ model: 'm', maxTokens: 8, concurrencies: [1, 8] })
  assert.deepEqual(all.map(({ name, concurrency }) => `${name} ${concurrency}`), ['chat 1', 'chat 8', 'streaming 1', 'streaming 8', 'best_of_8 1', 'best_of_8 8', 'websocket 8'])
  assert.notDeepEqual(all[0]!.body(0), all[0]!.body(1))
})
