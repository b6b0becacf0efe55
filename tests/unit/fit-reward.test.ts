import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRewardFamily } from '../../src/rewards/descriptor.js'
import type { Examples, Labelled } from '../../src/rewards/examples.js'
import { fitReward, type FitRequest } from '../../src/rewards/fit-reward.js'
import { resolveScorer } from '../../src/rewards/resolve.js'
import { toyAnswer, toyPolicy } from '../helpers/toy-states.js'

/** Answers of high digits are good: the toy's state carries the digit. */
const digits = (from: number, index: number): string => Array.from({ length: 8 }, (_, i) => from + (index * 7 + i * 3) % 4).join(' ')
const pairs: Examples = {
  kind: 'pairs',
  pairs: Array.from({ length: 40 }, (_, i) => ({ messages: [{ role: 'user', content: `prompt ${i % 20}` }], chosen: digits(5, i), rejected: digits(1, i) }))
}
const labelled = Array.from({ length: 40 }, (_, i): Labelled => ({
  messages: [{ role: 'user', content: 'p' }], answer: `${i} ${digits(i % 2 === 0 ? 5 : 1, i)}`, label: i % 2 === 0 ? 1 : 0
}))
const labels: Examples = { kind: 'labels', labelled }
const request = (fields: Partial<FitRequest>): FitRequest => ({
  name: 'high',
  description: 'High digits.',
  policy: toyPolicy(),
  train: pairs,
  data: { name: 'toy digits', licence: 'none' },
  layers: [1],
  pooling: 'mean',
  prefixes: true,
  cacheDirectory: null,
  ...fields
})

test('pairs give a head that ranks held-out pairs, on whole answers and prefixes, and that the server can use', async () => {
  const descriptor = await fitReward(request({}))
  assert.deepEqual(descriptor.metrics!.byPrefix.map(({ accuracy }) => accuracy), [1, 1, 1, 1])
  assert.equal(descriptor.metrics!.measure, 'pair_accuracy')
  assert.equal(descriptor.metrics!.clusters, 4)
  assert.equal(descriptor.fit!.objective, 'bradley_terry')
  const family = parseRewardFamily(JSON.stringify(descriptor), 'high.json')
  assert.deepEqual(family.members, ['outcome', 'prefix'])
  const { scorer } = resolveScorer([family], { rewards: [{ name: 'high', weight: 1 }], member: 'prefix', scale: 'standardized' }, toyPolicy())
  const [low, high] = await scorer.score({ messages: [], text: '', tokens: [9] }, [await toyAnswer([1, 2]), await toyAnswer([7, 8])])
  assert.ok(high!.value > low!.value)
})

test('labels give a logistic head; whole answers alone give the outcome member alone', async () => {
  const descriptor = await fitReward(request({ train: labels, prefixes: false }))
  assert.equal(descriptor.fit!.objective, 'logistic')
  assert.deepEqual(Object.keys(descriptor.members), ['outcome'])
  assert.equal(descriptor.metrics!.measure, 'accuracy')
  assert.ok(descriptor.metrics!.byPrefix.at(-1)!.accuracy > 0.9)
  assert.ok(descriptor.metrics!.byPrefix.at(-1)!.auc! > 0.9)
})

test('test data of their own are used as they are, and cut answers are counted', async () => {
  const descriptor = await fitReward(request({ test: pairs, maxAnswerTokens: 4 }))
  assert.equal(descriptor.metrics!.examples, 40)
  // 40 distinct answers in each set, all of eight tokens.
  assert.equal(descriptor.fit!.cutAnswers, 80)
})

test('what cannot work is refused before anything is read', async () => {
  await assert.rejects(fitReward(request({ name: 'High' })), /name must be lower-case .*; got "High"/)
  await assert.rejects(fitReward(request({ layers: [5] })), /layers must be from 0 to 4; got 5/)
  await assert.rejects(fitReward(request({ layers: [] })), /at least one layer/)
  await assert.rejects(fitReward(request({ train: { kind: 'pairs', pairs: pairs.pairs.slice(0, 3) } })), /at least 20 examples; got 3/)
  await assert.rejects(fitReward(request({ test: labels })), /test data must be pairs .*; got labels/)
  await assert.rejects(fitReward(request({ policy: { ...toyPolicy(), contextLength: 9 } })), /must fit 9 tokens; got 10 for the answer "5 8 7/)
  const oneSided: Examples = { kind: 'labels', labelled: labelled.map(one => ({ ...one, label: 1 })) }
  await assert.rejects(fitReward(request({ train: oneSided })), /must hold both labels; got only 1/)
})
