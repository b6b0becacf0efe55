import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRewardFamily } from '../../../src/rewards/descriptor.js'
import type { Examples, Labelled } from '../../../src/fitting/examples.js'
import { resample } from '../../../src/fitting/fit-ensemble.js'
import { fitReward, type FitRequest } from '../../../src/fitting/fit-reward.js'
import { uniform } from '../../../src/statistics/random.js'
import { resolveAlone } from '../../helpers/resolve-alone.js'
import { toyAnswer, toyPolicy } from '../../helpers/toy-states.js'

/** Answers of high digits are good: the toy's state carries the digit. */
const digits = (from: number, index: number): string =>
  Array.from({ length: 8 }, (_, i) => from + (index * 7 + i * 3) % 4).join(' ')
const pairs: Examples = {
  kind: 'pairs',
  pairs: Array.from({ length: 40 }, (_, i) => ({
    messages: [{ role: 'user', content: `prompt ${i % 20}` }], chosen: digits(5, i), rejected: digits(1, i)
  }))
}
const labelled = Array.from({ length: 40 }, (_, i): Labelled => ({
  messages: [{ role: 'user', content: 'p' }],
  answer: `${i} ${digits(i % 2 === 0 ? 5 : 1, i)}`,
  label: i % 2 === 0 ? 1 : 0
}))
const labels: Examples = { kind: 'labels', labelled }
type HeadRequest = Omit<FitRequest, 'ensemble'>
const request = (fields: Partial<HeadRequest>): HeadRequest => ({
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

test('pairs give a head that ranks held-out pairs, on whole answers and prefixes, and that the ' +
  'server can use', async () => {
  const descriptor = await fitReward(request({}))
  assert.deepEqual(descriptor.metrics!.byPrefix.map(({ accuracy }) => accuracy), [1, 1, 1, 1])
  assert.equal(descriptor.metrics!.measure, 'pair_accuracy')
  assert.equal(descriptor.metrics!.clusters, 4)
  assert.equal(descriptor.fit!.objective, 'bradley_terry')
  const family = parseRewardFamily(JSON.stringify(descriptor), 'high.json')
  assert.deepEqual(family.members, ['outcome', 'prefix'])
  const { scorer } = resolveAlone([family],
    { rewards: [{ name: 'high', weight: 1 }], member: 'prefix', scale: 'standardized' }, toyPolicy())
  const [low, high] =
    await scorer.score({ messages: [], text: '', tokens: [9] }, [await toyAnswer([1, 2]), await toyAnswer([7, 8])])
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

test('scores give a head that predicts them, judged by the order it puts answers in', async () => {
  // The target is twice the mean digit minus three.
  const texts = Array.from({ length: 60 }, (_, i) => digits(1 + i % 6, i))
  const scored = texts.map((answer, i) => ({
    messages: [{ role: 'user', content: `prompt ${i % 10}` }],
    answer,
    score: 2 * Array.from(answer.matchAll(/\d/g), Number).reduce((sum, digit) => sum + digit, 0) / 8 - 3
  }))
  const descriptor = await fitReward(request({ train: { kind: 'scores', scored }, prefixes: false }))
  assert.equal(descriptor.fit!.objective, 'regression')
  assert.deepEqual([descriptor.metrics!.measure, descriptor.metrics!.byPrefix.at(-1)!.accuracy,
    descriptor.metrics!.calibrationError], ['pair_accuracy', 1, undefined])
  const { scorer } = resolveAlone([parseRewardFamily(JSON.stringify(descriptor), 'high.json')],
    { rewards: [{ name: 'high', weight: 1 }], member: 'outcome', scale: 'raw' }, toyPolicy())
  for (const digit of [2, 6]) {
    const [score] = await scorer.score({ messages: [], text: '', tokens: [9] }, [await toyAnswer([digit, digit])])
    assert.ok(Math.abs(score!.value - (2 * digit - 3)) < 0.2, `${score!.value} for digit ${digit}`)
  }
})

/**
 * Pairs whose better answer has the higher digits in four cases of five, so that what is learnt depends on which pairs
 * are drawn.
 */
const noisy: Examples = {
  kind: 'pairs',
  pairs: Array.from({ length: 60 }, (_, i) => {
    const [high, low] = [digits(3, i).slice(0, 1 + i % 5), digits(1, i + 1).slice(0, 1 + i % 3)]
    return {
      messages: [{ role: 'user', content: `prompt ${i}` }],
      chosen: i % 5 === 0 ? low : high,
      rejected: i % 5 === 0 ? high : low
    }
  })
}

test('an ensemble is K heads of prompts drawn anew: it ranks like one, tells where they differ, and the server ' +
  'can use it', async () => {
  const descriptor = await fitReward({
    ...request({ train: noisy }), ensemble: { heads: 5, uncertainty: 'bootstrap', combine: 'lcb', penalty: 0.5 }
  })
  assert.deepEqual([descriptor.combine, descriptor.penalty, descriptor.scorers.length,
    descriptor.metrics!.calibrationError], ['lcb', 0.5, 5, undefined])
  assert.ok(descriptor.metrics!.byPrefix.at(-1)!.accuracy > 0.6)
  assert.equal(new Set(descriptor.scorers.map(scorer => JSON.stringify(scorer))).size, 5)
  const family = parseRewardFamily(JSON.stringify(descriptor), 'high.json')
  assert.deepEqual(family.members, ['outcome', 'prefix'])
  const { scorer } = resolveAlone([family],
    { rewards: [{ name: 'high', weight: 1 }], member: 'outcome', scale: 'standardized' }, toyPolicy())
  const [low, high] =
    await scorer.score({ messages: [], text: '', tokens: [9] }, [await toyAnswer([1, 2]), await toyAnswer([7, 8])])
  assert.ok(high!.value > low!.value && high!.rewards['high']!.std! > 0)
  assert.deepEqual(await fitReward({
    ...request({ train: noisy }), ensemble: { heads: 5, uncertainty: 'bootstrap', combine: 'lcb', penalty: 0.5 }
  }), descriptor)
  assert.ok(!('penalty' in await fitReward({
    ...request({ train: noisy }), ensemble: { heads: 2, uncertainty: 'bootstrap', combine: 'min', penalty: 1 }
  })))
  await assert.rejects(fitReward({
    ...request({ train: noisy }), ensemble: { heads: 1, uncertainty: 'bootstrap', combine: 'mean', penalty: 1 }
  }), /2 to 32 heads; got 1/)
})

test('a Laplace ensemble is drawn around one fit; it ranks like it and says of what the data did not show that it is ' +
  'in doubt', async () => {
  for (const train of [noisy, labels]) {
    const descriptor = await fitReward({
      ...request({ train }), ensemble: { heads: 16, uncertainty: 'laplace', combine: 'lcb', penalty: 1 }
    })
    assert.deepEqual([descriptor.scorers.length, descriptor.fit!.uncertainty], [16, 'laplace'])
    assert.ok(descriptor.metrics!.byPrefix.at(-1)!.accuracy > 0.6)
    assert.deepEqual(await fitReward({
      ...request({ train }), ensemble: { heads: 16, uncertainty: 'laplace', combine: 'lcb', penalty: 1 }
    }), descriptor)
    const bound = { rewards: [{ name: 'high', weight: 1 }], member: 'outcome', scale: 'standardized' } as const
    const scoreBy = async (combine: object): Promise<number> => {
      const { penalty: _, ...fields } = descriptor
      const { scorer } =
        resolveAlone([parseRewardFamily(JSON.stringify({ ...fields, ...combine }), 'high.json')], bound, toyPolicy())
      return (await scorer.score({ messages: [], text: '', tokens: [9] },
        [await toyAnswer([9, 9, 9])]))[0]!.rewards['high']!.raw
    }
    assert.ok(await scoreBy({ combine: 'lcb', penalty: 1 }) < await scoreBy({ combine: 'mean' }),
      'doubt counts against it')
  }
})

test('a bootstrap draws whole prompts, as many as there are', () => {
  const samples =
    Array.from({ length: 60 }, (_, i) => ({ answer: i, against: null, label: 1, group: `prompt ${i % 20}` }))
  const drawn = resample(samples, uniform(1))
  const counts = new Map<string, number>()
  for (const { group } of drawn) counts.set(group, (counts.get(group) ?? 0) + 1)
  assert.equal(drawn.length, 60)
  assert.ok([...counts.values()].every(count => count % 3 === 0))
  assert.ok(counts.size > 8 && counts.size < 18, `${counts.size} of 20 prompts`)
})

test('test data of their own are used as they are, and cut answers are counted', async () => {
  const descriptor = await fitReward(request({ test: pairs, maxAnswerTokens: 4 }))
  assert.equal(descriptor.metrics!.examples, 40)
  // 40 distinct answers in each set, all of eight tokens.
  assert.equal(descriptor.fit!.cutAnswers, 80)
})

test('what cannot work is refused before anything is read', async () => {
  await assert.rejects(fitReward(request({ name: 'High' })), { code: 'invalid_request', param: 'name' })
  await assert.rejects(fitReward(request({ layers: [5] })), /layers must be from 0 to 4; got 5/)
  await assert.rejects(fitReward(request({ layers: [] })), { code: 'invalid_request', param: 'layers' })
  await assert.rejects(fitReward(request({ train: { kind: 'pairs', pairs: pairs.pairs.slice(0, 3) } })),
    /at least 20 examples; got 3/)
  await assert.rejects(fitReward(request({ test: labels })), /test data .*pairs; got labels/)
  await assert.rejects(fitReward(request({ policy: { ...toyPolicy(), contextLength: 9 } })),
    /9 tokens; got 10 for the answer "5 8 7/)
  const oneSided: Examples = { kind: 'labels', labelled: labelled.map(one => ({ ...one, label: 1 })) }
  await assert.rejects(fitReward(request({ train: oneSided })), /both labels; got only 1/)
  const flat: Examples = {
    kind: 'scores', scored: labelled.map(({ messages, answer }) => ({ messages, answer, score: 3 }))
  }
  await assert.rejects(fitReward(request({ train: flat })),
    /train data .*different scores/)
})

test('pairs whose answers are equal as they are read are left out, and refused where all are', async () => {
  const long = (answer: string, tail: string): string => `${answer} ${tail}`
  const equal = pairs.pairs.map(({ messages, chosen }) => ({ messages, chosen, rejected: chosen }))
  const equalWhenCut = pairs.pairs.map(({ messages, chosen }) =>
    ({ messages, chosen: long(chosen, '5 6'), rejected: long(chosen, '1 2') }))
  const fails = (train: Examples): Promise<void> =>
    assert.rejects(fitReward(request({ train, maxAnswerTokens: 8 })), { code: 'invalid_request', param: 'examples' })
  await fails({ kind: 'pairs', pairs: equal })
  await fails({ kind: 'pairs', pairs: equalWhenCut })
  const descriptor = await fitReward(request({
    train: { kind: 'pairs', pairs: [...pairs.pairs, ...equal.slice(0, 6), ...equalWhenCut.slice(0, 3)] },
    maxAnswerTokens: 8
  }))
  assert.equal(descriptor.fit!.equalPairs, 9)
  assert.equal(descriptor.metrics!.byPrefix.at(-1)!.accuracy, 1)
  const contradicting = pairs.pairs.flatMap(({ messages, chosen, rejected }) =>
    [{ messages, chosen, rejected }, { messages, chosen: rejected, rejected: chosen }])
  await fails({ kind: 'pairs', pairs: contradicting })
})

test('a test set whose error cannot be known is refused before anything is read', async () => {
  let isRead = false
  const policy = { ...toyPolicy(), get endTokens () { isRead = true; return toyPolicy().endTokens } }
  const test: Examples = { kind: 'pairs', pairs: pairs.pairs.slice(0, 1) }
  await assert.rejects(fitReward(request({ test, policy })), { code: 'invalid_request', param: 'test' })
  assert.ok(!isRead)
})
