import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placed, shade, ticks } from '../../../src/inspector/logic/geometry.js'
import { fateText, labelOf, scoresAlong, tokensDrawn, tokensOf } from '../../../src/inspector/logic/lineages.js'
import { outstanding, readingOf } from '../../../src/inspector/logic/tints.js'
import { fold } from '../../../src/journal/fold.js'
import type { Entry } from '../../../src/journal/entries.js'

const grow = (index: number, text: string): readonly [number, readonly string[], readonly number[]] =>
  [index, [...text], [...text].map(() => -1)]
const entries: Entry[] = [
  { t: 1, open: [[0, null, 0, 0], [1, null, 0, 0]] }, { t: 2, grow: [grow(0, 'ab'), grow(1, 'xy')] },
  { t: 3, score: [[0, 1, [[1, 1]]], [1, -1, [[-1, -1]]]] }, { t: 3, step: { n: 1, kept: [0], dropped: [1] } },
  { t: 3, end: [[1, 'dropped', -2, 1]] }, { t: 4, open: [[2, 0, 2, 2]] }, { t: 5, grow: [grow(0, 'c'), grow(2, 'de')] },
  { t: 6, score: [[2, 2, [[2, 2]]]] }, { t: 7, open: [[3, 0, 3, 3]] }, { t: 8, end: [[2, 'stop', -4]] },
  { t: 9, select: { chosen: [2], rule: 'argmax' } }
]
const run = fold(entries)

test('later forks lie nearer to their parent, so that no line crosses', () => {
  assert.deepEqual(placed(run).map(({ lineage: { index }, row, parentRow }) => [index, row, parentRow]),
    [[0, 0, null], [3, 1, 0], [2, 2, 0], [1, 3, null]])
})

test('a fork has its ancestors’ tokens and scores before the fork', () => {
  const forked = run.candidates.get(2)!
  assert.deepEqual(tokensOf(run, forked)!.map(({ piece }) => piece), ['a', 'b', 'd', 'e'])
  assert.deepEqual(scoresAlong(run, forked), [[2, 1], [4, 2]])
  assert.equal(tokensDrawn(run), 7)
})

test('a candidate is told in words', () => {
  assert.equal(labelOf(run, run.candidates.get(2)!),
    'Candidate 2, chosen, ended by itself, reward +2.00, 4 tokens, abde')
  assert.equal(fateText(run, run.candidates.get(1)!), 'dropped at step 1')
})

test('ticks are round, shades run from −3 to 3', () => {
  assert.deepEqual(ticks(0, 48, 5), [0, 10, 20, 30, 40])
  assert.deepEqual(ticks(-1.2, 2.1, 4), [-1, 0, 1, 2])
  assert.deepEqual([-9, -1, 0, 0.1, 2].map(value => shade(value, 2)), [-3, -2, 0, 0, 3])
})

test('reward changes add up to the reward; pieces are cut by code points', () => {
  const reading = readingOf('a😀b', {
    prefixes: [{ tokens: 1, end: 1, reward: 0.5 }, { tokens: 2, end: 2, reward: 2 }, { tokens: 3, end: 3, reward: 1 }]
  })
  assert.deepEqual(reading, { pieces: ['a', '😀', 'b'], changes: [0.5, 1.5, -1], reward: 1 })
  assert.deepEqual(outstanding([0, 0, 0, 0, 0, 0, 9, null]), [false, false, false, false, false, false, true, false])
})
