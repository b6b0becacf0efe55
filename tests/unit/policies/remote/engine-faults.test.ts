/** Engines that fail: what is made again, where, what it costs, what callers are told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestError } from '../../../../src/errors.js'
import { emptyEngineLedger } from '../../../../src/policies/remote/remote-request.js'
import { FakeEngine, type StreamFault } from '../../../helpers/fake-engine.js'
import { connected, through, toyEngine } from '../../../helpers/remote-toy.js'
import { oddities, run, textOf } from '../../../helpers/run-strategy.js'
import { assertDrawnFrom, assertSameSource, tally } from '../../../helpers/statistics.js'
import { enumerate, ToyPolicy } from '../../../helpers/toy-policy.js'

const policy = new ToyPolicy()
const beams = { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 2 } }

/** A request's own error. */
async function refusal (work: Promise<unknown>): Promise<RequestError> {
  const error = await work.then(() => null, (reason: unknown) => reason)
  assert.ok(error instanceof RequestError, String(error))
  return error
}

test('whatever breaks a call after some tokens, the answer goes on from them and comes from the policy', async () => {
  const kinds: Array<StreamFault['kind']> = ['break', 'end', 'abort', 'corrupt']
  let calls = 0
  const fake = await toyEngine(policy, {
    // Every third call; at a place that does not depend on what is drawn.
    fault: () => calls++ % 3 === 1 ? { kind: kinds[Math.floor(calls / 3) % kinds.length]!, after: calls % 3 } : null
  })
  const engine = connected([fake.url])
  const ledger = emptyEngineLedger()
  const drawn: string[] = []
  for (let seed = 1; seed <= 10; seed++) {
    const { result } = await run(null, { policy, n: 32, seed, through: through(engine, { ledger }) })
    drawn.push(...result.choices.map(({ text }) => text))
  }
  const expected = tally(enumerate(policy, 4), ({ tokens }) => textOf(tokens), ({ probability }) => probability)
  assertDrawnFrom(expected, drawn, 'answers of an engine that fails')
  assert.ok(ledger.failedCalls > 50, String(ledger.failedCalls))
  assert.equal(ledger.calls, fake.calls.length)
})

test('a search goes on at another replica when one dies in it, twenty times', async () => {
  const there = await toyEngine(policy)
  const drawn: { alone: string[], beside: string[] } = { alone: [], beside: [] }
  let failed = 0
  for (let seed = 1; seed <= 20; seed++) {
    const doomed: FakeEngine = await toyEngine(policy, {
      fault: call => {
        if (call === 3) doomed.close().catch(() => {})
        return null
      }
    })
    const engine = connected([doomed.url, there.url])
    // A session whose first replica is the one that dies.
    let session = 0
    while (engine.replicas.order(String(session))[0]!.url !== doomed.url) session++
    const ledger = emptyEngineLedger()
    const options = { policy, scorer: oddities, seed, sampling: { maxTokens: 8 } }
    const { result } =
      await run(beams, { ...options, through: through(engine, { session: String(session), ledger }) })
    drawn.beside.push(result.choices[0]!.text)
    drawn.alone.push((await run(beams, options)).result.choices[0]!.text)
    failed += ledger.failedCalls
    assert.equal(doomed.running, 0)
  }
  assert.ok(failed >= 20, String(failed))
  assertSameSource(drawn.alone, drawn.beside, 'beams')
})

test('a connection that was closed before a call was read is made anew: nothing has failed', async () => {
  const [fake, other] = [await toyEngine(policy, { fault: call => call === 1 ? { kind: 'close' } : null }),
    await toyEngine(policy)]
  const engine = connected([fake.url, other.url])
  let session = 0
  while (engine.replicas.order(String(session))[0]!.url !== fake.url) session++
  const ledger = emptyEngineLedger()
  for (let seed = 0; seed < 2; seed++) {
    await run(null, { policy, seed, through: through(engine, { session: String(session), ledger }) })
  }
  assert.deepEqual([fake.calls.length, other.calls.length], [3, 0])
  assert.deepEqual(fake.calls[2]!.body, fake.calls[1]!.body)
  assert.deepEqual([ledger.calls, ledger.failedCalls, engine.replicas.order('')[0]!.isWell], [2, 0, true])
})

test('an engine that hangs is given up in time, and another one takes over', async () => {
  const [hung, well] = [await toyEngine(policy, { fault: () => ({ kind: 'hang', after: 1 }) }), await toyEngine(policy)]
  const engine = connected([hung.url, well.url], { timeoutMs: 300 })
  const ledger = emptyEngineLedger()
  const { result } = await run(beams, { policy, scorer: oddities, through: through(engine, { ledger }) })
  assert.equal(result.choices.length, 1)
  const silent = await toyEngine(policy, { fault: () => ({ kind: 'hang', after: 0 }) })
  const alone = connected([silent.url], { timeoutMs: 100 })
  const error = await refusal(run(null, { policy, through: through(alone) }))
  assert.deepEqual([error.code, error.retryAfterMs! > 0], ['unavailable', true])
  assert.match(error.message, /The engine of this model sent nothing for too long/)
})

test('a call that takes too long in all fails, though it goes on', async () => {
  const slow = await toyEngine(policy, { pace: () => new Promise(resolve => { setTimeout(resolve, 50) }) })
  const engine = connected([slow.url], { totalTimeoutMs: 20 })
  const error = await refusal(run(null, { policy, sampling: { ignoreEos: true }, through: through(engine) }))
  assert.match(error.message, /took more than 20 ms/)
})

test('429 and 503 are tried again, and passed on with their Retry-After where they stay', async () => {
  for (const [status, code] of [[429, 'rate_limit_exceeded'], [503, 'unavailable']] as const) {
    let calls = 0
    const twice = await toyEngine(policy, { fault: () => calls++ < 2 ? { kind: 'status', status } : null })
    const ledger = emptyEngineLedger()
    await run(null, { policy, through: through(connected([twice.url]), { ledger }) })
    assert.equal(ledger.failedCalls, 2)
    const always = await toyEngine(policy, {
      fault: () => ({ kind: 'status', status, headers: { 'retry-after': '7' } })
    })
    const error = await refusal(run(null, { policy, through: through(connected([always.url])) }))
    assert.deepEqual([error.code, error.retryAfterMs, always.calls.length], [code, 7000, 1])
  }
})

test('what an engine refuses is asked once, and said in its words', async () => {
  const fake = await toyEngine(policy, { maxLogprobs: 5 })
  const engine = connected([fake.url])
  const error = await refusal(run(null, { policy, sampling: { topLogprobs: 9 }, through: through(engine) }))
  assert.deepEqual([error.code, fake.calls.length], ['invalid_request', 1])
  assert.match(error.message, /refuses the request: logprobs must be at most 5/)
  const keyed = await toyEngine(policy, { apiKey: 'open sesame' })
  const locked = await refusal(run(null, { policy, through: through(connected([keyed.url], { apiKey: 'wrong' })) }))
  assert.equal(locked.code, 'unavailable')
  await run(null, { policy, through: through(connected([keyed.url], { apiKey: 'open sesame' })) })
})

test('penalties count what one call draws: an answer that breaks in the middle fails', async () => {
  const fake = await toyEngine(policy, { fault: call => call === 0 ? { kind: 'break', after: 2 } : null })
  const sampling = { frequencyPenalty: 1, ignoreEos: true }
  const error = await refusal(run(null, { policy, sampling, through: through(connected([fake.url])) }))
  assert.equal(error.code, 'unavailable')
  await run(null, { policy, sampling, through: through(connected([fake.url])) })
})

test('an aborted request hangs up all its calls', async () => {
  let release = (): void => {}
  const held = new Promise<void>(resolve => { release = resolve })
  const fake = await toyEngine(policy, { pace: () => held })
  const controller = new AbortController()
  const running = run({ strategy: 'best_of_n', num_candidates: 8 },
    { policy, scorer: oddities, signal: controller.signal, through: through(connected([fake.url])) })
  const ended = assert.rejects(running)
  while (fake.running < 8) await new Promise(resolve => { setImmediate(resolve) })
  controller.abort(new Error('left'))
  await ended
  while (fake.running > 0) await new Promise(resolve => { setImmediate(resolve) })
  assert.equal(fake.hungUp, 8)
  release()
})

test('calls keep to one replica, go on to the next where it is full, and come back', async () => {
  const fakes = [await toyEngine(policy), await toyEngine(policy)]
  const engine = connected(fakes.map(({ url }) => url), { maxCalls: 3 })
  const [first, second] = engine.replicas.order('here')
  const fakeOf = (url: string): FakeEngine => fakes.find(fake => fake.url === url)!
  await run(null, { policy, n: 2, through: through(engine, { session: 'here' }) })
  assert.deepEqual([fakeOf(first!.url).calls.length, fakeOf(second!.url).calls.length], [2, 0])
  await run(null, { policy, n: 9, through: through(engine, { session: 'here' }) })
  assert.equal(fakes[0]!.calls.length + fakes[1]!.calls.length, 11)
  assert.ok(fakeOf(second!.url).calls.length >= 3)
  assert.deepEqual([first!.inFlight, second!.inFlight], [0, 0])
  const orders = new Set(Array.from({ length: 40 }, (_, session) => engine.replicas.order(String(session))[0]!.url))
  assert.equal(orders.size, 2)
})

test('a lost engine is unavailable at once, and used again when it is back', async () => {
  const fake = await toyEngine(policy)
  const { port } = fake
  const engine = connected([fake.url])
  await run(null, { policy, through: through(engine) })
  await fake.close()
  const error = await refusal(run(null, { policy, through: through(engine) }))
  assert.deepEqual([error.code, error.retryAfterMs! > 0], ['unavailable', true])
  assert.deepEqual(await engine.well(), [])
  const again = await FakeEngine.start({
    logits: tokens => policy.logits(tokens), endToken: policy.endToken, text: token => textOf([token])
  }, port)
  try {
    await run(null, { policy, through: through(engine) })
    assert.equal((await engine.well()).length, 1)
  } finally {
    await again.close()
  }
})
