/** How much a journal weighs, and how often it tells of growth. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from '../../../src/journal/entries.js'
import { fold } from '../../../src/journal/fold.js'
import { Recorder, type Recordable } from '../../../src/journal/recorder.js'
import { JournalWriter, linesOf } from '../../../src/journal/wire.js'

// 4.6 characters a token, as English has.
const words = [' the', ' storm', ' keeper', ' a', ' over', ' lamp', '.', ' night', ' he', ' walked']

/** Answers side by side, a token each in turn, scored at their end. @param msPerToken of one answer */
function drawn (candidates: number, tokens: number, msPerToken: number): Entry[] {
  let now = 0
  const journal = new Recorder({ now: () => now })
  journal.start({
    seed: 1,
    strategy: 'best_of_n',
    resolved: {},
    rewards: [['positive', 'outcome', '1', 1]],
    prompt: 10,
    dropped: 0
  })
  const growing = Array.from({ length: candidates }, (_, index) => ({
    index,
    parent: null,
    drawn: 0,
    text: '',
    get certainText (): string { return this.text },
    logprob: 0,
    finishReason: null as 'length' | null,
    isCutShort: false,
    prunedAt: null,
    score: null as Recordable['score']
  }))
  journal.open(growing)
  for (let at = 0; at < tokens; at++) {
    now += msPerToken
    for (const one of growing) {
      one.drawn++
      one.text += words[(at + one.index * 3) % words.length]!
      one.logprob -= 1.7321
      if (one.drawn === tokens) one.finishReason = 'length'
      journal.drew(one)
    }
  }
  for (const one of growing) {
    const value = Math.sin(one.index)
    one.score = { value, rewards: { positive: { raw: value, standardized: value } } }
  }
  journal.score(growing)
  journal.select({ chosen: [0], rule: 'argmax' })
  return new JournalWriter().write(journal.take())
}

test('best of 64 answers of 512 tokens takes at most 250 kB, where each draws 2 tokens a second', () => {
  const entries = drawn(64, 512, 500)
  const bytes = Buffer.byteLength(linesOf(entries))
  assert.ok(bytes <= 250_000, String(bytes))
  assert.equal([...fold(entries).candidates.values()].reduce((sum, one) => sum + one.tokens, 0), 64 * 512)
})

test('growth of few candidates is told twenty times a second', () => {
  const grown = drawn(1, 100, 10).filter(entry => 'grow' in entry)
  assert.ok(grown.length >= 20 && grown.length <= 21, String(grown.length))
})
