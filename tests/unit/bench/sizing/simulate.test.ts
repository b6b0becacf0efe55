import assert from 'node:assert/strict'
import { test } from 'node:test'
import { workSeconds, type EngineCost } from '../../../../bench/sizing/cost-model.js'
import { defaultOptions, planEngines, quantile, simulate, type Workload } from '../../../../bench/sizing/simulate.js'

const engine: EngineCost = {
  round: sequences => 0.01 + sequences * 0.0001, prefillToken: 0.0001, call: 0.002, blockTokens: 16, kvTokens: 100_000
}
const workload: Workload = {
  requestsPerMinute: 1, promptTokens: 500, candidates: 16, answerTokens: 100, spread: 0, stepTokens: null
}
const close = (a: number, b: number, tolerance: number): boolean => Math.abs(a - b) <= tolerance * b

test('a search alone takes what the cost model says, drawn whole or by steps', () => {
  const few = { ...defaultOptions, requests: 20 }
  const rare = { ...workload, requestsPerMinute: 0.01 }
  const whole =
    workSeconds(engine, { sequences: 16, tokens: 100, context: 550, prefill: 500, calls: 16 })
  assert.ok(simulate(engine, 1, rare, few).latencies.every(one => close(one, whole, 1e-6)))
  const steps = [0, 20, 40, 60, 80].reduce((sum, drawn) => sum + workSeconds(engine, {
    sequences: 16, tokens: 20, context: 550, prefill: drawn === 0 ? 500 : 16 * ((500 + drawn) % 16), calls: 16
  }), 0)
  const { latencies } = simulate(engine, 1, { ...rare, stepTokens: 20 }, few)
  assert.ok(latencies.every(one => close(one, steps, 1e-6)), `${latencies[0]} ${steps}`)
})

test('a best of n with answers of many lengths takes as long as its longest', () => {
  const { latencies } = simulate(engine, 1, { ...workload, requestsPerMinute: 0.01, spread: 0.5 })
  // The mean of the largest of 16 log-normal lengths with mean 100 and deviation 50 is about 214.
  const mean = latencies.reduce((sum, one) => sum + one, 0) / latencies.length
  const longest = workSeconds(engine, { sequences: 8, tokens: 214, context: 550, prefill: 500, calls: 16 })
  assert.ok(close(mean, longest, 0.1), `${mean} ${longest}`)
})

test('engines draw and are called as much as is asked, and run as many as come while one does', () => {
  const { batch, latencies, tokensPerSecond, callsPerSecond } =
    simulate(engine, 4, { ...workload, requestsPerMinute: 60 })
  assert.ok(close(tokensPerSecond, 1600, 0.1), String(tokensPerSecond))
  assert.ok(close(callsPerSecond, 16, 0.1), String(callsPerSecond))
  // Little's law; a little of a request's time is its prompt's.
  const mean = latencies.reduce((sum, one) => sum + one, 0) / latencies.length
  assert.ok(close(4 * batch, 16 * mean, 0.15), `${batch} ${mean}`)
})

test('nothing runs in more room than there is, and waits in turn', () => {
  const narrow = { ...defaultOptions, requests: 20, maxSequences: 4 }
  const alone = workSeconds(engine, { sequences: 4, tokens: 400, context: 550, prefill: 500, calls: 16 })
  const { latencies } = simulate(engine, 1, { ...workload, requestsPerMinute: 0.01 }, narrow)
  assert.ok(latencies.every(one => close(one, alone, 1e-3)), String(latencies[0]))
  const small = { ...engine, kvTokens: 4 * (100 + 500 / 16) }
  assert.deepEqual(simulate(small, 1, { ...workload, requestsPerMinute: 0.01 }, { ...narrow, maxSequences: 256 }), {
    ...simulate(engine, 1, { ...workload, requestsPerMinute: 0.01 }, narrow)
  })
})

test('where more comes than can be done, the queue grows', () => {
  assert.deepEqual(simulate(engine, 1, { ...workload, requestsPerMinute: 3000 }, { ...defaultOptions, requests: 5000 })
    .latencies, [Infinity])
})

test('a plan is the least number of engines that is enough, and the same each time', () => {
  const busy = { ...workload, requestsPerMinute: 300, spread: 0.5 }
  const count = planEngines(engine, busy, 6)!
  assert.ok(count > 1)
  const slowest = (engines: number): number => quantile(simulate(engine, engines, busy).latencies, 0.95)
  assert.ok(slowest(count) <= 6 && slowest(count - 1) > 6)
  assert.equal(planEngines(engine, busy, 6), count)
  assert.equal(planEngines(engine, busy, 0.5), null, 'no number of engines makes one search faster')
})
