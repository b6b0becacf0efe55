import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doing, recentRate } from '../../../src/inspector/logic/live.js'
import type { Entry } from '../../../src/journal/entries.js'
import { fold } from '../../../src/journal/fold.js'

const opened: Entry = { t: 900, open: [[0, null, 0, 0], [1, null, 0, 0]] }
const grow = (t: number, tokens: number): Entry =>
  ({ t, grow: [[0, tokens, ''], [1, Array<string>(tokens).fill('x'), Array<number>(tokens).fill(-1)]] })

test('the rate is that of the last two seconds, or since the first tokens came', () => {
  const entries = [opened, grow(1000, 5), grow(1200, 1), grow(1500, 3)]
  assert.equal(recentRate([opened], 5000), null)
  assert.equal(recentRate(entries, 1100), null)
  // 2 × (1 + 3) tokens in half a second; those that came first began it.
  assert.equal(recentRate(entries, 1500), 16)
  assert.equal(recentRate(entries, 2000), 8)
  // From 1,200 to 3,200: only what came after.
  assert.equal(recentRate(entries, 3200), 3)
  assert.equal(recentRate(entries, 9000), 0)
})

test('a run that waits says how long, unless that is short or unknown', () => {
  const waiting = fold([{ t: 0, queued: 2 }])
  assert.equal(doing(waiting, 2149, null), 'Waiting behind 2 requests: 2.1 s')
  assert.equal(doing(fold([{ t: 0, queued: 0 }]), 700, null), 'Waiting for memory: 0.7 s')
  assert.equal(doing(waiting, 100, null), 'Waiting behind 2 requests')
  assert.equal(doing(waiting, null, null), 'Waiting behind 2 requests')
})

test('a run that draws says how far it is, its best reward and its rate', () => {
  const start = { t: 890, start: { prompt: 7, rewards: [] } } as unknown as Entry
  assert.equal(doing(fold([start, opened]), null, null), 'Reading 7 tokens')
  const entries: Entry[] = [start, opened, grow(1000, 5), { t: 1100, score: [[0, 1.5, []], [1, -1, []]] }]
  assert.equal(doing(fold([...entries, { t: 1200, end: [[0, 'stop', -4]] }]), null, 1080.4),
    '1 of 2 answers finished · best +1.50 · 1,080 tokens/s')
  const bothEnded: Entry = { t: 1200, end: [[0, 'stop', -4], [1, 'stop', -4]] }
  assert.equal(doing(fold([...entries, bothEnded]), null, 9), 'Choosing among 2')
})
