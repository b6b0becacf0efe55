import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KvDemand, ModelRuntime } from '../../../src/engine/model-runtime.js'
import { RequestError } from '../../../src/errors.js'
import { AdmissionQueue, type KvLimits } from '../../../src/serving/admission-queue.js'
import { admit, planAdmission, sizeOf } from '../../../src/serving/admission.js'
import type { PromptReading } from '../../../src/serving/contrast-prompts.js'
import type { GenerateRequest } from '../../../src/serving/protocol.js'
import { parseAlignment } from '../../../src/decoding/strategies/parse-alignment.js'

const queueOf = (limits: Partial<KvLimits>): AdmissionQueue => new AdmissionQueue(
  { maxTokens: 100, bytesPerToken: 4, contextLength: 100, maxQueued: 8, setting: 'kv-cache-bytes', ...limits })

/** @param parts numbers that the message must tell */
const failure = (code: string, ...parts: string[]) => (error: unknown): boolean =>
  error instanceof RequestError && error.code === code && parts.every(part => error.message.includes(part))

test('reservations are served in order; what never fits is refused, a full queue too', async () => {
  const queue = queueOf({ contextLength: 50, maxQueued: 2 })
  assert.throws(() => queue.reserve({ sequences: 1, tokens: 51 }),
    failure('context_length_exceeded', '50 tokens', '51'))
  assert.throws(() => queue.reserve({ sequences: 3, tokens: 40 }),
    failure('budget_exceeded', '100 tokens', '3 × 40 = 120'))
  assert.throws(() => queue.reserve({ sequences: 8, tokens: 10, sharedTokens: 30 }),
    failure('budget_exceeded', '30 + 8 × 10 = 110'))
  assert.throws(() => queue.reserve({ sequences: 2, tokens: 40, extraTokens: 21 }),
    failure('budget_exceeded', '2 × 40 + 21 = 101'))
  const first = await queue.reserve({ sequences: 7, tokens: 10, sharedTokens: 30 })
  const order: string[] = []
  const large = queue.reserve({ sequences: 10, tokens: 10 })
    .then(reservation => { order.push('large'); return reservation })
  const leaving = new AbortController()
  const small = queue.reserve({ sequences: 1, tokens: 1 }, leaving.signal)
  assert.throws(() => queue.reserve({ sequences: 1, tokens: 1 }), failure('rate_limit_exceeded'))
  leaving.abort(new Error('gone'))
  await assert.rejects(small, /gone/)
  assert.deepEqual([queue.waiting, queue.running], [1, 1])
  first.release()
  first.release()
  ;(await large).release()
  assert.deepEqual([queue.waiting, queue.running, order.length], [0, 0, 1])
})

test('one abort that takes several out of the queue leaves nothing reserved', async () => {
  const queue = queueOf({})
  const need = (tokens: number): KvDemand => ({ sequences: 1, tokens })
  const first = await queue.reserve(need(60))
  const leaving = new AbortController()
  // The first is too large for the room that is left; without it the others fit, and would be granted as it leaves.
  const asked = [50, 5, 5].map(tokens => queue.reserve(need(tokens), leaving.signal))
  leaving.abort(new Error('gone'))
  for (const one of asked) await assert.rejects(one, /gone/)
  assert.deepEqual([queue.waiting, queue.running], [0, 1])
  first.release()
  const all = await queue.reserve(need(100))
  assert.deepEqual([queue.waiting, queue.running], [0, 1])
  all.release()
})

test('who waits with a lower priority starts first, and at once where there is room for it', async () => {
  const queue = queueOf({ maxTokens: 10 })
  const order: string[] = []
  const ask = async (name: string, tokens: number, priority: number): Promise<void> => {
    const reservation = await queue.reserve({ sequences: 1, tokens, priority })
    order.push(name)
    await new Promise(resolve => { setImmediate(resolve) })
    reservation.release()
  }
  const first = await queue.reserve({ sequences: 1, tokens: 6 })
  const asked = [ask('last', 8, 1), ask('usual', 8, 0), ask('usual too', 8, 0), ask('urgent', 8, -1),
    ask('urgent and small', 3, -2)]
  await asked[4]
  assert.deepEqual(order, ['urgent and small'])
  first.release()
  await Promise.all(asked)
  assert.deepEqual(order, ['urgent and small', 'urgent', 'usual', 'usual too', 'last'])
})

/** A runtime of which only its KV budget counts, and the ceilings of its requests. */
function runtimeOf (
  limits: Partial<KvLimits> = {}, order = 0
): ModelRuntime & { readonly config: { maxTokensPerRequest: number, kvCacheBytes: number } } {
  const contextLength = limits.contextLength ?? 100
  return {
    model: { contextLength },
    engine: { sharesPrompt: (fanOut: number) => fanOut >= 8 },
    kvBudget: queueOf({ ...limits, contextLength }),
    order,
    config: { maxTokensPerRequest: 200, kvCacheBytes: 400 }
  } as never
}

const requestOf = (maxTokens: number | null, n = 1, alignment: object | null = null): GenerateRequest => ({
  prompt: { text: 'x', addSpecialTokens: false },
  n,
  bestOf: null,
  alignment: alignment && parseAlignment(alignment),
  sampling: { maxTokens },
  caller: 'someone',
  priority: 3
} as never)

const promptOf = (tokens: number): PromptReading[] =>
  [{ source: 'the prompt has', tokens: Array.from({ length: tokens }, () => 1), reader: null, readerName: 'its' }]
const noContrast = { toward: null, away: null }

test('an answer that was not given a length is as long as context, ceiling and KV allow', () => {
  const longest = (served: ReturnType<typeof runtimeOf>, n: number, tokens: number): unknown => {
    const { maxTokens, sharesPrompt } = sizeOf(served, requestOf(null, n), promptOf(tokens))
    return [maxTokens, sharesPrompt]
  }
  // The context; the ceiling; KV with a prompt of each one's own, and with one for all.
  assert.deepEqual(longest(runtimeOf(), 1, 30), [70, false])
  assert.deepEqual(longest(runtimeOf({ maxTokens: 1000 }), 5, 30), [40, false])
  assert.deepEqual(longest(runtimeOf(), 3, 30), [3, false])
  assert.deepEqual(longest(runtimeOf(), 8, 30), [8, true])
  assert.throws(() => longest(runtimeOf(), 4, 30), failure('budget_exceeded', '400 bytes', '200'))
})

test('a length that does not fit is refused with its field', () => {
  const size = (maxTokens: number, n: number): unknown =>
    sizeOf(runtimeOf({ maxTokens: 1000 }), requestOf(maxTokens, n), promptOf(30))
  const refused = (code: string) => (error: unknown): boolean =>
    failure(code)(error) && (error as RequestError).param === 'max_tokens'
  assert.throws(() => size(71, 1), refused('context_length_exceeded'))
  assert.throws(() => size(51, 4), refused('budget_exceeded'))
  assert.deepEqual(size(50, 4), { n: 4, fanOut: 4, promptTokens: 30, sharesPrompt: false, maxTokens: 50 })
})

test('a plan holds the fan-out, forks of rewards, and what contexts take in other engines', () => {
  const expert = runtimeOf()
  const served = runtimeOf({ maxTokens: 1000 })
  const request = requestOf(10, 2)
  const toward = { tokens: [1, 2, 3], reader: expert, readerName: 'expert', source: 'it has' }
  const contrast = { toward, away: null }
  const size = sizeOf(served, request, promptOf(30))
  const own = { runtime: served, sequences: 5, tokens: 7 }
  assert.deepEqual(planAdmission(served, request, size, { forks: true, demands: [own] }, contrast), {
    ...size,
    demand: { sequences: 4, tokens: 41, sharedTokens: 0 },
    beside: [own, { runtime: expert, sequences: 2, tokens: 13 }],
    turn: { caller: 'someone', priority: 3 }
  })
  const shared = { ...size, fanOut: 8, sharesPrompt: true }
  assert.deepEqual(planAdmission(served, request, shared, null, noContrast).demand,
    { sequences: 8, tokens: 11, sharedTokens: 30 })
})

test('a plan is reserved in all engines or in none, several demands on one engine together', async () => {
  const [served, first, second] = [runtimeOf(), runtimeOf({}, 1), runtimeOf({ maxQueued: 0 }, 2)]
  const budgets = [served, first, second].map(({ kvBudget }) => kvBudget)
  const running = (): number[] => budgets.map(budget => budget.running)
  const { signal } = new AbortController()
  const beside = [
    { runtime: second, sequences: 1, tokens: 60 }, { runtime: first, sequences: 2, tokens: 20 },
    { runtime: first, sequences: 30, tokens: 30 }, { runtime: served, sequences: 2, tokens: 20 }
  ]
  const plan = { demand: { sequences: 1, tokens: 60 }, beside, turn: {} }
  const granted = await admit(served, plan, signal)
  assert.deepEqual(running(), [1, 1, 1])
  // Two rewards that read through one other model get what there is of it.
  const waiting = first.kvBudget.reserve({ sequences: 1, tokens: 11 })
  assert.equal(first.kvBudget.waiting, 1)
  granted.release()
  ;(await waiting).release()
  const full = await second.kvBudget.reserve({ sequences: 1, tokens: 41 })
  await assert.rejects(admit(served, plan, signal), failure('rate_limit_exceeded'))
  assert.deepEqual(running(), [0, 0, 1])
  full.release()
  assert.throws(() => admit(served, { ...plan, demand: { sequences: 1, tokens: 61 } }, signal),
    failure('budget_exceeded', '1 × 61 + 40 = 101'))
  const rewardsOnly =
    await admit(served, { demand: null, beside: [{ runtime: first, sequences: 1, tokens: 5 }], turn: {} }, signal)
  assert.deepEqual(running(), [0, 1, 0])
  rewardsOnly.release()
})
