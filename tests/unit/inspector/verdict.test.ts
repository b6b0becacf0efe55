import assert from 'node:assert/strict'
import { test } from 'node:test'
import { meanInterval, wilson } from '../../../src/inspector/logic/intervals.js'
import { figuresOf, verdictOf, type CardFigures } from '../../../src/inspector/logic/verdict.js'

const card = (changes: Partial<CardFigures>): CardFigures => ({
  examples: 100,
  clusters: 50,
  accuracy: 0.8,
  standardError: 0.04,
  controls: { length: 0.6, random: 0.5, tfidf: 0.65 },
  ...changes
})

test('a reward is better only where its lower bound is above every control', () => {
  assert.equal(verdictOf(card({})).kind, 'better')
  assert.equal(verdictOf(card({ accuracy: 0.72 })).kind, 'chance')
  assert.equal(verdictOf(card({ controls: { length: 0.79, random: 0.5, tfidf: null } })).kind, 'length')
  assert.equal(verdictOf(card({ examples: 9 })).kind, 'few')
  assert.match(verdictOf(card({ examples: 9 })).text, /9 held-out examples are too few.*6 more/)
})

test('it says how many more held-out examples would tell', () => {
  // 0.72 against 0.65: the error must fall from 0.04 to 0.07 / 1.96, examples grow by its square.
  assert.match(verdictOf(card({ accuracy: 0.72 })).text, /About 26 more held-out examples would tell/)
})

test('figures are read from a card, and are null where there are none', () => {
  assert.equal(figuresOf(null), null)
  assert.equal(figuresOf({ examples: 3 }), null)
  assert.deepEqual(figuresOf({
    examples: 30,
    clusters: 12,
    by_prefix: [{ fraction: 0.5, accuracy: 0.6 }, { fraction: 1, accuracy: 0.7, standard_error: 0.05 }],
    controls: { length_only: 0.55, random_head: 0.49, tfidf: 0.6 }
  }), {
    examples: 30, clusters: 12, accuracy: 0.7, standardError: 0.05, controls: { length: 0.55, random: 0.49, tfidf: 0.6 }
  })
})

test('intervals are Wilson’s and Student’s', () => {
  // Reference: statsmodels proportion_confint(9, 12, method='wilson').
  const [low, high] = wilson(9, 12)
  assert.ok(Math.abs(low - 0.4677) < 1e-4 && Math.abs(high - 0.9111) < 1e-4)
  assert.deepEqual(wilson(0, 0), [0, 1])
  assert.equal(meanInterval([1, 2, 3]), null)
  // Mean 2.5, s = 1.29099, t(3) = 3.182: half width 2.054.
  const [from, to] = meanInterval([1, 2, 3, 4])!
  assert.ok(Math.abs(from - 0.446) < 1e-3 && Math.abs(to - 4.554) < 1e-3)
})
