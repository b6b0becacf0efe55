import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluateScore, margins, type StateSet } from '../../../src/fitting/held-out-figures.js'
import { fitHead } from '../../../src/fitting/fit-head.js'

/** Figures of a head of one weight. */
const evaluateHead = (weight: number, set: StateSet, isLogit = true) =>
  evaluateScore(state => weight * state[0]!, set, set, 'toy', isLogit)

/** Pairs of one feature: at fraction f the better answer's state is f, the worse one's −f. Two pairs a prompt. */
function pairSet (count: number, better: (pair: number) => { text: string, length: number }): StateSet {
  const answers = Array.from({ length: 2 * count },
    (_, i) => ({ messages: [], text: i % 2 === 0 ? better(i / 2).text : 'plain words here' }))
  return {
    kind: 'pairs',
    answers,
    states: answers.map((_, i) =>
      [0.25, 0.5, 0.75, 1].map(fraction => Float32Array.of(i % 2 === 0 ? fraction : -fraction))),
    lengths: answers.map((_, i) => i % 2 === 0 ? better(i / 2).length : 10),
    samples: Array.from({ length: count },
      (_, i) => ({ answer: 2 * i, against: 2 * i + 1, label: 1, group: `prompt ${Math.floor(i / 2)}` }))
  }
}

test('margins are differences for pairs and scores for labels', () => {
  const set = {
    kind: 'pairs' as const,
    answers: [],
    samples: [{ answer: 0, against: 1, label: 1 as const, group: 'a' },
      { answer: 1, against: null, label: -1 as const, group: 'a' }]
  }
  assert.deepEqual(margins(set, answer => [5, 2][answer]!), [3, 2])
})

test('a right head is right at every prefix, a turned one nowhere', () => {
  const set = pairSet(20, () => ({ text: 'plain words here', length: 10 }))
  assert.deepEqual(evaluateHead(1, set).byPrefix.map(({ accuracy }) => accuracy), [1, 1, 1, 1])
  assert.deepEqual(evaluateHead(-1, set).byPrefix.map(({ accuracy }) => accuracy), [0, 0, 0, 0])
})

test('controls find what length and words give away, and ½ where they give nothing', () => {
  const nothing = pairSet(20, () => ({ text: 'plain words here', length: 10 }))
  assert.deepEqual([evaluateHead(1, nothing).controls.lengthOnly, evaluateHead(1, nothing).controls.tfidf], [0.5, 0.5])
  const longer = pairSet(20, pair => ({ text: 'plain words here', length: 12 + pair }))
  assert.equal(evaluateHead(1, longer).controls.lengthOnly, 1)
  const lovely = pairSet(20, pair => ({ text: `lovely words ${pair}`, length: 10 }))
  assert.equal(evaluateHead(1, lovely).controls.tfidf, 1)
})

test('a sure and right pair head is calibrated, a sure and wrong one is not', () => {
  const set = pairSet(20, () => ({ text: 'plain words here', length: 10 }))
  assert.ok(evaluateHead(20, set).calibrationError! < 0.01)
  assert.ok(evaluateHead(-20, set).calibrationError! > 0.99)
})

test('a fit leaves to length what length explains', () => {
  // The feature is nothing but log-length and noise of its own; without the nuisance column it would carry the length.
  const set = pairSet(40, pair => ({ text: 'plain words here', length: 20 + pair }))
  const states = set.lengths.map((length, i) =>
    Array.from({ length: 4 }, () => Float32Array.of(Math.log(length) + 0.3 * Math.sin(i * 12.9))))
  const withNuisance = fitHead({ ...set, states }, false).head.weights[0]!
  const lengthHidden = fitHead({ ...set, states, lengths: set.lengths.map(() => 10) }, false).head.weights[0]!
  assert.ok(Math.abs(withNuisance) < lengthHidden / 2, `${withNuisance} against ${lengthHidden}`)
})

test('a set of scores is judged by its pairs: those of a prompt, or neighbours where each prompt has ' +
  'one answer', () => {
  const scored = (group: (answer: number) => string, label: (answer: number) => number): StateSet => {
    const set = pairSet(20, () => ({ text: 'plain words here', length: 10 }))
    return {
      ...set,
      kind: 'scores',
      samples: set.answers.map((_, answer) => ({ answer, against: null, label: label(answer), group: group(answer) }))
    }
  }
  // Better answers are the even ones.
  const figures =
    evaluateHead(1, scored(answer => `prompt ${answer >> 1}`, answer => answer % 2 === 0 ? 2.5 : -1), false)
  assert.deepEqual([figures.measure, figures.examples, figures.clusters, figures.byPrefix.at(-1)!.accuracy,
    figures.calibrationError], ['pair_accuracy', 20, 20, 1, undefined])
  assert.equal(evaluateHead(-1, scored(answer => `prompt ${answer}`, answer => answer % 2 === 0 ? 2.5 : -1),
    false).byPrefix.at(-1)!.accuracy, 0)
  assert.equal(evaluateHead(1, scored(answer => `prompt ${answer}`, answer => answer % 2)).examples, 39)
})
