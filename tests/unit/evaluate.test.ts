import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluateHead, margins, type StateSet } from '../../src/rewards/evaluate.js'
import { fitHead } from '../../src/rewards/fit-head.js'

/** Pairs of one feature: at fraction f the better answer's state is f, the worse one's −f. Two pairs a prompt. */
function pairSet (count: number, better: (pair: number) => { text: string, length: number }): StateSet {
  const answers = Array.from({ length: 2 * count }, (_, i) => ({ messages: [], text: i % 2 === 0 ? better(i / 2).text : 'plain words here' }))
  return {
    answers,
    states: answers.map((_, i) => [0.25, 0.5, 0.75, 1].map(fraction => Float32Array.of(i % 2 === 0 ? fraction : -fraction))),
    lengths: answers.map((_, i) => i % 2 === 0 ? better(i / 2).length : 10),
    samples: Array.from({ length: count }, (_, i) => ({ answer: 2 * i, against: 2 * i + 1, label: 1, group: `prompt ${Math.floor(i / 2)}` }))
  }
}

test('margins are differences for pairs and scores for labels', () => {
  const set = { answers: [], samples: [{ answer: 0, against: 1, label: 1 as const, group: 'a' }, { answer: 1, against: null, label: -1 as const, group: 'a' }] }
  assert.deepEqual(margins(set, answer => [5, 2][answer]!), [3, 2])
})

test('a right head is right at every prefix, a turned one nowhere', () => {
  const set = pairSet(20, () => ({ text: 'plain words here', length: 10 }))
  assert.deepEqual(evaluateHead({ weights: [1], bias: 0 }, set, set, 'toy').byPrefix.map(({ accuracy }) => accuracy), [1, 1, 1, 1])
  assert.deepEqual(evaluateHead({ weights: [-1], bias: 0 }, set, set, 'toy').byPrefix.map(({ accuracy }) => accuracy), [0, 0, 0, 0])
})

test('controls find what length and words give away, and ½ where they give nothing', () => {
  const head = { weights: [1], bias: 0 }
  const nothing = pairSet(20, () => ({ text: 'plain words here', length: 10 }))
  assert.deepEqual([evaluateHead(head, nothing, nothing, 's').controls.lengthOnly, evaluateHead(head, nothing, nothing, 's').controls.tfidf], [0.5, 0.5])
  const longer = pairSet(20, pair => ({ text: 'plain words here', length: 12 + pair }))
  assert.equal(evaluateHead(head, longer, longer, 's').controls.lengthOnly, 1)
  const lovely = pairSet(20, pair => ({ text: `lovely words ${pair}`, length: 10 }))
  assert.equal(evaluateHead(head, lovely, lovely, 's').controls.tfidf, 1)
})

test('a sure and right pair head is calibrated, a sure and wrong one is not', () => {
  const set = pairSet(20, () => ({ text: 'plain words here', length: 10 }))
  assert.ok(evaluateHead({ weights: [20], bias: 0 }, set, set, 's').calibrationError! < 0.01)
  assert.ok(evaluateHead({ weights: [-20], bias: 0 }, set, set, 's').calibrationError! > 0.99)
})

test('a fit leaves to length what length explains', () => {
  // The feature is nothing but log-length and noise of its own; without the nuisance column it would carry the length.
  const set = pairSet(40, pair => ({ text: 'plain words here', length: 20 + pair }))
  const states = set.lengths.map((length, i) => Array.from({ length: 4 }, () => Float32Array.of(Math.log(length) + 0.3 * Math.sin(i * 12.9))))
  const withNuisance = fitHead({ ...set, states }, false).head.weights[0]!
  const lengthHidden = fitHead({ ...set, states, lengths: set.lengths.map(() => 10) }, false).head.weights[0]!
  assert.ok(Math.abs(withNuisance) < lengthHidden / 2, `${withNuisance} against ${lengthHidden}`)
})
