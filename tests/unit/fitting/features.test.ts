import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, truncate, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { extractFeatures, prefixLengths } from '../../../src/fitting/features.js'
import { toyPolicy, ToyStates } from '../../helpers/toy-states.js'

const item = { promptTokens: [9], answerTokens: [1, 3, 5, 7, 1, 1, 1, 5] }

test('states are running means at 25, 50, 75 and 100 % of the answer, per layer', async () => {
  const source = new ToyStates()
  const features =
    await extractFeatures(toyPolicy(source), [item], { layers: [1, 3], pooling: 'mean', cacheDirectory: null })
  assert.deepEqual(features.get(3)![0]!.map(state => [...state]), [[2, 3, 1], [4, 3, 1], [3, 3, 1], [3, 3, 1]])
  assert.equal(features.get(1)![0]![0]![1], 1)
  assert.deepEqual([source.counts.opened, source.counts.closed], [1, 1])
})

test('last-token states end at the end token', async () => {
  const source = new ToyStates()
  const [states] =
    (await extractFeatures(toyPolicy(source), [item], { layers: [0], pooling: 'last', cacheDirectory: null })).get(0)!
  assert.deepEqual(states!.map(state => state[0]), [3, 7, 1, 0])
  assert.equal(source.counts.opened, source.counts.closed)
})

test('short answers are read at one token at least', () => {
  assert.deepEqual(prefixLengths(1), [1, 1, 1, 1])
  assert.deepEqual(prefixLengths(3), [1, 2, 2, 3])
})

test('equal answers are read once, and cached ones not at all', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'features-'))
  t.after(() => rm(folder, { recursive: true }))
  const options = { layers: [2], pooling: 'mean' as const, cacheDirectory: folder }
  const first = new ToyStates()
  const computed = await extractFeatures(toyPolicy(first), [item, item], options)
  assert.equal(first.counts.opened, 1)
  const second = new ToyStates()
  assert.deepEqual(await extractFeatures(toyPolicy(second), [item, item], options), computed)
  assert.equal(second.counts.opened, 0)
})

test('a torn record is cut off and computed again', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'features-'))
  t.after(() => rm(folder, { recursive: true }))
  const options = { layers: [2], pooling: 'mean' as const, cacheDirectory: folder }
  const other = { ...item, answerTokens: [2, 2] }
  const computed = await extractFeatures(toyPolicy(), [item, other], options)
  const file = join(folder, (await readdir(folder))[0]!)
  const { size } = await stat(file)
  await truncate(file, size - 5)
  const source = new ToyStates()
  assert.deepEqual(await extractFeatures(toyPolicy(source), [item, other], options), computed)
  assert.equal(source.counts.opened, 1)
  assert.equal((await stat(file)).size, size)
})

test('an abort ends the reading with its reason', async () => {
  await assert.rejects(extractFeatures(toyPolicy(), [item],
    { layers: [0], pooling: 'mean', cacheDirectory: null, signal: AbortSignal.abort(new Error('enough')) }), /enough/)
})
