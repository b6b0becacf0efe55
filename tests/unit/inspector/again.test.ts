import assert from 'node:assert/strict'
import { test } from 'node:test'
import { againBody, againRefusal, compareRuns } from '../../../src/inspector/logic/again.js'
import type { Entry, Head } from '../../../src/journal/entries.js'
import { fold, type Run } from '../../../src/journal/fold.js'

const head: Head = {
  journal: 1,
  id: 'run_1',
  created: 1,
  server: '0.1.0',
  model: 'm',
  fingerprint: 'fl_a',
  request: {
    model: 'm',
    messages: [{ role: 'user', content: 'hi' }],
    top_k: 3,
    user: 'jane',
    store: true,
    alignment: { reward: 'r' }
  }
}

interface Recorded {
  readonly texts?: readonly string[],
  readonly rewards?: readonly number[],
  readonly chosen?: number
  readonly pieces?: boolean,
  readonly more?: Partial<Head>,
  readonly ends?: boolean
}

/** A run of two answers, a token a character. */
function recorded (
  { texts = ['abc', 'xyz'], rewards = [1, 2], chosen = 1, pieces = true, more = {}, ends = true }: Recorded
): Run {
  const usage = {} as never
  const entries: Entry[] = [
    { ...head, ...more },
    { t: 1, start: { seed: 7, strategy: 'best_of_n', resolved: {}, rewards: [], prompt: 1, dropped: 0 } },
    { t: 1, open: texts.map((_, index) => [index, null, 0, 0]) },
    {
      t: 2,
      grow: texts.map((text, index) =>
        pieces ? [index, [...text], [...text].map(() => -1)] : [index, text.length || 3, text])
    },
    { t: 3, score: rewards.map((reward, index) => [index, reward, []]) },
    ...ends
      ? [{ t: 4, select: { chosen: [chosen], rule: 'argmax' } }, {
          t: 4, done: { kl: { value: null, kind: null }, stopped_by: null, warnings: [], details: {}, usage }
        }]
      : []
  ]
  return fold(entries)
}

test('the same run is identical', () => {
  assert.deepEqual(compareRuns(recorded({}), recorded({})), {
    isSameMachine: true, compared: 2, same: 2, parting: null, isSameChoice: true, scored: 2, rewardDifference: 0
  })
})

test('where texts part is told by token, or by character where one has no tokens', () => {
  const other = { texts: ['abc', 'xqz'], rewards: [1, 2.5], chosen: 0, more: { fingerprint: 'fl_b' } }
  assert.deepEqual(compareRuns(recorded({}), recorded(other)), {
    isSameMachine: false,
    compared: 2,
    same: 1,
    parting: { of: 'token', at: 1, candidate: 1 },
    isSameChoice: false,
    scored: 2,
    rewardDifference: 0.5
  })
  assert.deepEqual(compareRuns(recorded({ pieces: false }), recorded({ texts: ['abcd', 'xyz'] })).parting,
    { of: 'character', at: 3, candidate: 0 })
  assert.deepEqual(compareRuns(recorded({}), recorded({ texts: ['abc'] })).parting,
    { of: 'token', at: 0, candidate: 1 })
})

test('a run that was stopped is compared as far as it goes, texts that were left out are not', () => {
  const stopped = compareRuns(recorded({ texts: ['ab', ''], ends: false }), recorded({}))
  assert.deepEqual([stopped.compared, stopped.same, stopped.isSameChoice, stopped.scored], [2, 2, null, 0])
  const redacted = compareRuns(recorded({ texts: ['', 'xyz'], pieces: false }), recorded({}))
  assert.deepEqual([redacted.compared, redacted.same, redacted.parting], [1, 1, null])
})

test('it is asked for with its seed, and without what changes no token', () => {
  assert.deepEqual(againBody(recorded({}), 'other'), {
    model: 'other', messages: [{ role: 'user', content: 'hi' }], top_k: 3, alignment: { reward: 'r' }, seed: 7
  })
  assert.equal(againRefusal(recorded({})), null)
  assert.match(againRefusal(recorded({ more: { redacted: ['request.messages[0]'] } }))!, /left out/)
  assert.match(againRefusal(recorded({ more: { request: { prompt: 'x' } } }))!, /Only chats/)
  assert.match(againRefusal(fold([head]))!, /never began/)
})
