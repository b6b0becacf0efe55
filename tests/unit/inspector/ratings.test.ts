import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  agreementCurves, agreementsOf, checkResult, checkRounds, fitPairs, isRewardName, keptForCheck, lengthLean, pairLines,
  readPairLines, type Rating
} from '../../../src/inspector/logic/ratings.js'

const rating = (verdict: Rating['verdict'], changes: Partial<Rating> = {}): Rating =>
  ({ prompt: 'p', left: 'left answer', right: 'right', verdict, ms: 5, seed: 1, ...changes })

test('only decided pairs of whole answers with text are fitted on', () => {
  const ratings = [rating('left'), rating('same'), rating('skip'), rating('right'), rating('left', { cut: true }),
    rating('left', { right: '' }), rating('left', { left: '' })]
  assert.deepEqual(fitPairs({ ratings }), [
    { prompt: 'p', chosen: 'left answer', rejected: 'right' }, { prompt: 'p', chosen: 'right', rejected: 'left answer' }
  ])
})

test('pairs come back from their file as they were', () => {
  const ratings = [rating('left'), rating('right', { prompt: 'q\n"' })]
  assert.deepEqual(readPairLines(pairLines({ ratings })), ratings)
  assert.throws(() => readPairLines('{"prompt": "a", "chosen": "b"}\n'), /Line 1 must have prompt, chosen and rejected/)
  assert.throws(() => readPairLines('{"prompt": "a", "chosen": "b", "rejected": ""}'), /Line 1 must have text in/)
  assert.throws(() => readPairLines('\n{'), /Line 2 is no JSON/)
})

test('agreement counts what was predicted before the vote, by version', () => {
  const ratings = [
    rating('left'), rating('left', { predicted: { version: 1, side: 'left' } }),
    rating('same', { predicted: { version: 1, side: 'left' } }),
    rating('right', { predicted: { version: 1, side: 'left' } }),
    rating('right', { predicted: { version: 2, side: 'right' } })
  ]
  assert.deepEqual(agreementsOf({ ratings }), [{ version: 1, agreed: 1, of: 2 }, { version: 2, agreed: 1, of: 1 }])
  assert.deepEqual(agreementCurves({ ratings }), [[1, 0.5], [1]])
})

test('a check has prompts that are not rated, whatever is rated and added meanwhile', () => {
  const prompts = Array.from({ length: 40 }, (_, index) => `prompt ${index}`)
  const kept = keptForCheck({ prompts, ratings: [] })
  assert.equal(kept.size, checkRounds)
  const ratings = prompts.filter(prompt => !kept.has(prompt)).map(prompt => rating('skip', { prompt }))
  for (const count of [1, 20, 30]) {
    assert.deepEqual(keptForCheck({ prompts, ratings: ratings.slice(0, count) }), kept)
  }
  const more = [...prompts, 'one', 'two', 'three']
  const rated = new Set(ratings.map(({ prompt }) => prompt))
  const then = [...keptForCheck({ prompts: more, ratings })]
  assert.deepEqual([then.length, then.filter(prompt => rated.has(prompt))], [checkRounds, []])
  assert.equal(keptForCheck({ prompts: prompts.slice(0, 2 * checkRounds - 1), ratings: [] }).size, 0)
})

test('a check counts wins, ties and lengths', () => {
  const vote = { version: 1, prompt: 'p', plain: 'four', steered: 'eight ch' }
  assert.deepEqual(checkResult([{ ...vote, winner: 'steered' }, { ...vote, winner: 'same' }]),
    { steered: 1, plain: 0, ties: 1, plainLength: 4, steeredLength: 8 })
})

test('length and names are judged as the server does', () => {
  assert.equal(lengthLean([{ prompt: '', chosen: 'ab', rejected: 'abcd' }]), -0.5)
  assert.equal(lengthLean([]), null)
  assert.ok(isRewardName('mine-2') && !isRewardName('2mine') && !isRewardName('Mine') && !isRewardName(''))
})
