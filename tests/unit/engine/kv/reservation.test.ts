/** Reservations: who may start when, and what is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReservationQueue, type Need } from '../../../../src/engine/kv/reservation.js'

test('reservations are served in order; what never fits is refused, a full queue too', async () => {
  const queue = new ReservationQueue({
    maxTokens: 100, bytesPerToken: 4, contextLength: 50, maxQueued: 2, setting: 'kv-cache-bytes'
  })
  const need = (sequences: number, promptTokens: number, answerTokens: number, sharesPrompt = false): Need => ({
    sequences, promptTokens, answerTokens, sharesPrompt
  })
  assert.throws(() => queue.reserve(need(1, 20, 31)), /prompt and answer together may have 50 tokens; asked for 51/)
  assert.throws(() => queue.reserve(need(3, 30, 10)),
    /may reserve 100 tokens of KV, 4 bytes each .* needs 3 × 40 = 120/)
  assert.throws(() => queue.reserve(need(8, 30, 10, true)), /needs 30 \+ 8 × 10 = 110/)
  assert.deepEqual([queue.roomPerSequence(3, 30, false), queue.roomPerSequence(3, 30, true),
    queue.roomPerSequence(1, 30, false), queue.roomPerSequence(50, 40, false)], [3, 20, 20, 0])
  const first = await queue.reserve(need(7, 30, 10, true))
  const order: string[] = []
  const large = queue.reserve(need(10, 5, 5)).then(reservation => { order.push('large'); return reservation })
  const leaving = new AbortController()
  const small = queue.reserve(need(1, 1, 0), leaving.signal)
  assert.throws(() => queue.reserve(need(1, 1, 0)), /2 requests are waiting already/)
  leaving.abort(new Error('gone'))
  await assert.rejects(small, /gone/)
  assert.deepEqual([queue.waiting, queue.running], [1, 1])
  first.release()
  first.release()
  ;(await large).release()
  assert.deepEqual([queue.waiting, queue.running, order.length], [0, 0, 1])
})

test('one abort that takes several out of the queue leaves nothing reserved', async () => {
  const queue = new ReservationQueue({
    maxTokens: 100, bytesPerToken: 4, contextLength: 100, maxQueued: 8, setting: 'kv-cache-bytes'
  })
  const need = (promptTokens: number): Need => ({ sequences: 1, promptTokens, answerTokens: 0, sharesPrompt: false })
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
  const queue = new ReservationQueue({
    maxTokens: 10, bytesPerToken: 4, contextLength: 50, maxQueued: 8, setting: 'kv-cache-bytes'
  })
  const order: string[] = []
  const ask = async (name: string, tokens: number, priority: number): Promise<void> => {
    const reservation =
      await queue.reserve({ sequences: 1, promptTokens: tokens, answerTokens: 0, sharesPrompt: false, priority })
    order.push(name)
    await new Promise(resolve => { setImmediate(resolve) })
    reservation.release()
  }
  const first = await queue.reserve({ sequences: 1, promptTokens: 6, answerTokens: 0, sharesPrompt: false })
  const asked = [ask('last', 8, 1), ask('usual', 8, 0), ask('usual too', 8, 0), ask('urgent', 8, -1),
    ask('urgent and small', 3, -2)]
  await asked[4]
  assert.deepEqual(order, ['urgent and small'])
  first.release()
  await Promise.all(asked)
  assert.deepEqual(order, ['urgent and small', 'urgent', 'usual', 'usual too', 'last'])
})
