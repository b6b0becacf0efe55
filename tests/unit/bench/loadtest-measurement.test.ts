import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerReader, usageOf } from '../../../bench/load/answer-reader.js'
import { ratiosOf, type EngineTurn } from '../../../bench/load/beside-engine.js'
import { agreement, rateIn } from '../../../bench/load/guidellm.js'
import { arrivals, closedLoop, openLoop } from '../../../bench/load/loops.js'
import {
  measure, meets, quantiles, tpotOf, type Measurement, type RequestSample
} from '../../../bench/load/measurement.js'
import { planOf, rateOf } from '../../../bench/load/plan.js'
import { ablationsOf, capacityOf, compare } from '../../../bench/load/report.js'
import { scenariosOf } from '../../../bench/load/scenarios.js'
import { sameBits } from '../../helpers/same-bits.js'

const usage = {
  prompt_tokens: 20,
  completion_tokens: 11,
  prompt_tokens_details: { cached_tokens: 5 },
  alignment_details: { generated_tokens: 88 }
}
const stream: RequestSample = { latency: 1100, firstText: 100, gaps: [90, 110], usage }
const whole: RequestSample = { latency: 900, firstText: null, gaps: [], usage }
const objectives = { ttft: 200, tpot: 100, latency: 1000 }

test('quantiles are of the nearest rank', () => {
  assert.equal(quantiles([]), null)
  assert.deepEqual(quantiles([3]), { p50: 3, p90: 3, p99: 3 })
  assert.deepEqual(quantiles([4, 1, 3, 2]), { p50: 2, p90: 4, p99: 4 })
})

test('time per output token is that after the first; objectives are those that apply', () => {
  assert.equal(tpotOf(stream), 100)
  assert.equal(tpotOf(whole), null)
  assert.ok(meets(stream, objectives) && meets(whole, objectives))
  assert.ok(!meets(stream, { ...objectives, tpot: 99 }) && !meets(stream, { ...objectives, ttft: 99 }))
  assert.ok(meets(stream, { ...objectives, latency: 1 }) && !meets(whole, { ...objectives, latency: 1 }))
})

const kind = { configuration: 'default', scenario: 'streaming', transport: 'http', loop: 'closed', level: 2 } as const
const measured = (more: Partial<Measurement> = {}, answered = [stream, whole]): Measurement =>
  ({
    ...measure(kind, { answered, errors: 1, seconds: 4, generatorCpu: 0.1 },
      { candidates: 8, rewards: tokens => 2 * tokens }, { ...objectives, latency: 1 }),
    ...more
  })

test('rates are over the whole load, and discarded candidates count as generated only', () => {
  const {
    requests, errors, requestsPerSecond, goodput, outputTokensPerSecond, generatedTokensPerSecond, candidatesPerSecond,
    rewardsPerSecond, prefixHitRate, ttftMs, itlMs
  } = measured()
  assert.deepEqual({
    requests,
    errors,
    requestsPerSecond,
    goodput,
    outputTokensPerSecond,
    generatedTokensPerSecond,
    candidatesPerSecond,
    rewardsPerSecond,
    prefixHitRate
  },
  {
    requests: 2,
    errors: 1,
    requestsPerSecond: 0.5,
    goodput: 0.25,
    outputTokensPerSecond: 5.5,
    generatedTokensPerSecond: 44,
    candidatesPerSecond: 4,
    rewardsPerSecond: 11,
    prefixHitRate: 0.25
  })
  assert.equal(ttftMs!.p50, 100)
  assert.equal(itlMs!.p99, 110)
})

test('an answer is read from server-sent events and from a whole body', () => {
  const reader = new AnswerReader()
  for (const piece of [
    'data: {"object":"chat.completion.chunk","choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
    'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"a"}}]}\n\n',
    'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"b"}}]}\n\n'
  ]) reader.piece(piece)
  const { firstText, gaps } = reader.end(usage)
  assert.ok(firstText !== null)
  assert.equal(gaps.length, 1)
  assert.deepEqual(usageOf(`data: {"choices":[],"usage":${JSON.stringify(usage)}}\n\ndata: [DONE]\n\n`), usage)
  assert.deepEqual(usageOf(JSON.stringify({ usage })), usage)
  assert.equal(usageOf('{"error":{}}'), null)
})

test('arrivals are Poisson: as many a second as asked for, exponential gaps, the same each time', () => {
  const moments = arrivals(5, 4000)
  sameBits(moments, arrivals(5, 4000))
  const gaps = moments.slice(1).map((at, index) => at - moments[index]!)
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  assert.ok(Math.abs(mean - 0.2) < 0.01)
  // Of exponential gaps e⁻¹ are longer than their mean.
  assert.ok(Math.abs(gaps.filter(gap => gap > 0.2).length / gaps.length - Math.exp(-1)) < 0.02)
})

test('loops send what they are told to; what fails is counted and the others go on', async () => {
  const limits = { requests: 10, maxSeconds: 60, signal: new AbortController().signal }
  let [inFlight, most] = [0, 0]
  const send = async (body: object): Promise<RequestSample> => {
    most = Math.max(most, ++inFlight)
    await new Promise(resolve => { setImmediate(resolve) })
    inFlight--
    if ((body as { index: number }).index === 3) throw new Error('no')
    return stream
  }
  const closed = await closedLoop(send, index => ({ index }), 4, limits)
  assert.deepEqual([closed.answered.length, closed.errors, most], [9, 1, 4])
  const open = await openLoop(send, index => ({ index }), 10_000, limits)
  assert.deepEqual([open.answered.length, open.errors], [9, 1])
})

test('the plan sends each scenario at each concurrency, streams over both transports, and servers with ' +
  'something off', () => {
  const scenarios = scenariosOf({ model: 'm', maxTokens: 8 }).map(({ name }) => name)
  const plan = planOf({ scenarios, concurrencies: [1, 8], openShares: [0.5], ablations: true })
  assert.deepEqual(plan.map(({ name }) => name), ['default', 'batching off', 'shared prompts off', 'prefix cache off'])
  const loads =
    plan[0]!.loads.map(({ scenario, transport, loop, level }) => `${scenario} ${transport} ${loop} ${level}`)
  for (const load of ['chat http closed 1', 'beam_search http closed 8', 'streaming http closed 16',
    'streaming websocket closed 8', 'streaming http open 0.5',
    'streaming websocket open 0.5']) assert.ok(loads.includes(load), load)
  assert.deepEqual(plan.map(({ besideEngine }) => besideEngine), [true, false, false, false])
  assert.deepEqual(planOf({ scenarios: ['chat'], concurrencies: [1], openShares: [0.5], ablations: true }).length, 1)
  assert.equal(rateOf(plan[0]!.loads.at(-1)!, [measured({ transport: 'websocket', requestsPerSecond: 6 })]), 3)
  assert.equal(rateOf(plan[0]!.loads.at(-1)!, []), null)
})

test('the server is held against its engine turn by turn, and against what the load generator leaves of ' +
  'the cores', () => {
  const turn = (engine: number, tokensPerSecond: number, generatorCpu: number): EngineTurn => ({
    level: 32, engine, served: [{ transport: 'http', tokensPerSecond, generatorCpu }]
  })
  const { plain, beside, generatorCpu } =
    ratiosOf([turn(1000, 800, 0.4), turn(500, 400, 0.2), turn(1000, 900, 0.2)], 'http', 2)!
  assert.deepEqual(plain, { median: 0.8, least: 0.8, most: 0.9 })
  assert.equal(generatorCpu.median, 0.2)
  // 800 of 1000 · (1 − 0.4 / 2), 400 of 500 · 0.9, 900 of 1000 · 0.9.
  for (const [name, expected] of [['least', 8 / 9], ['median', 1], ['most', 1]] as const) {
    assert.ok(Math.abs(beside[name] - expected) < 1e-9, name)
  }
  assert.equal(ratiosOf([turn(1000, 800, 0.4)], 'websocket', 2), null)
})

test('guidellm’s rate is counted as ours is, over the whole load, and not of a load in which requests failed', () => {
  const answered = (start: number, end: number) => ({
    info: { timings: { request_start: start, request_end: end } }, output_metrics: { text_tokens: 32 }
  })
  const successful = [answered(10, 12), answered(10.5, 14)]
  assert.equal(rateIn({ benchmarks: [{ requests: { successful, errored: [] } }] }), 16)
  assert.throws(() => rateIn({ benchmarks: [{ requests: { successful, errored: [{}] } }] }),
    /1 requests failed, 2 were answered/)
  assert.equal(agreement({ level: 32, ours: [15, 17], guidellm: 16 }), 1)
})

test('bodies differ by index and are the same each time; long prompts begin differently', () => {
  for (const { name, body } of scenariosOf({ model: 'm', maxTokens: 8 })) {
    assert.notDeepEqual(body(0), body(1), name)
    assert.deepEqual(body(3), body(3), name)
  }
  const long = scenariosOf({ model: 'm', maxTokens: 8 }).at(-1)!
  const text = (index: number): string => (long.body(index)['messages'] as Array<{ content: string }>)[0]!.content
  assert.notEqual(text(0).slice(0, 40), text(1).slice(0, 40))
  assert.ok(text(0).split(' ').length > 600)
})

test('a report says what was switched off, how it compares, and the capacity in a line', () => {
  const now = [measured(), measured({ configuration: 'batching off', generatedTokensPerSecond: 11 })]
  assert.deepEqual(ablationsOf(now).map(one =>
    [one.what, one.with.generatedTokensPerSecond / one.without.generatedTokensPerSecond]), [['batching off', 4]])
  assert.deepEqual(compare(now, [measured({ generatedTokensPerSecond: 22, ttftMs: null })]),
    [['streaming by http, 2 at once', '2.00', '1.00', '–', '1.00', '1.00']])
  const streams = [2, 4].map(level => measured({ level, itlMs: { p50: 1, p90: 1, p99: 30 * level } }))
  const guided = measured({ scenario: 'best_of_n', requestsPerSecond: 0.5 })
  assert.equal(capacityOf({ measurements: [...streams, guided], objectives, maxTokens: 32 }),
    '2 plain streams at a p99 inter-token gap of 60 ms, or 30 best-of-16 answers of 32 tokens a minute.')
  assert.equal(capacityOf({ measurements: [], objectives, maxTokens: 32 }), null)
})
