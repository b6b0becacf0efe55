/** The queue that grants KV: turns of callers, their share of the queue, the guests' pool. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestError } from '../../../src/errors.js'
import type { Reservation } from '../../../src/engine/model-runtime.js'
import { AdmissionQueue } from '../../../src/serving/admission-queue.js'

const queueOf = (maxQueued: number): AdmissionQueue => new AdmissionQueue(
  { maxTokens: 80, bytesPerToken: 4, contextLength: 100, maxQueued, setting: 'kv-cache-bytes' })

/** Asks for KV, and writes down who was granted some. */
function asker (queue: AdmissionQueue): {
  readonly granted: string[], ask: (caller: string, tokens: number) => Promise<Reservation>
} {
  const granted: string[] = []
  return {
    granted,
    async ask (caller, tokens) {
      const reservation = await queue.reserve({ sequences: 1, tokens, caller })
      granted.push(caller)
      return reservation
    }
  }
}

/** Waits until what was granted has been heard of. */
const settled = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })

test('a plain request starts at once beside a caller that holds all KV and has more waiting', async () => {
  const queue = queueOf(16)
  const { granted, ask } = asker(queue)
  const first = await ask('many', 80)
  const waiting = Array.from({ length: 8 }, () => ask('many', 40))
  const plain = await ask('plain', 10)
  // It holds KV now: it is no guest any more, and waits for its turn, which is the next.
  const second = ask('plain', 5)
  await settled()
  assert.deepEqual([granted, queue.running, queue.waiting], [['many', 'plain'], 2, 9])
  first.release()
  await settled()
  assert.deepEqual(granted.slice(2), ['plain', 'many'])
  plain.release()
  await Promise.all([...waiting, second].map(async one => { (await one).release() }))
  assert.deepEqual([queue.running, queue.waiting], [0, 0])
  // The guests' pool was given back.
  const all = await ask('many', 80)
  ;(await ask('other', 10)).release()
  all.release()
})

test('guests do not hold more than their pool, and more than that waits in turn', async () => {
  const queue = queueOf(16)
  const { granted, ask } = asker(queue)
  const all = await ask('many', 80)
  const small = [ask('a', 6), ask('b', 6), ask('c', 4), ask('d', 11)]
  await settled()
  assert.deepEqual(granted, ['many', 'a', 'c'])
  all.release()
  await Promise.all(small.map(async one => { (await one).release() }))
  assert.deepEqual([queue.running, queue.waiting], [0, 0])
})

test('one caller cannot fill the queue, and is told so', async () => {
  const queue = queueOf(4)
  const { ask } = asker(queue)
  const all = await ask('many', 80)
  const waiting = Array.from({ length: 3 }, () => ask('many', 80))
  const refused = (reason: RegExp) => (error: unknown): boolean =>
    error instanceof RequestError && error.code === 'rate_limit_exceeded' && reason.test(error.message)
  await assert.rejects(ask('many', 1), refused(/3 of your requests .* 3 of the 4/))
  waiting.push(ask('other', 20))
  await assert.rejects(ask('third', 20), refused(/4 requests are waiting/))
  // Though it is full, a guest need not wait in it.
  ;(await ask('third', 5)).release()
  all.release()
  await Promise.all(waiting.map(async one => { (await one).release() }))
})
