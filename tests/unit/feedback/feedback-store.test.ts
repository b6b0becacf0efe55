import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { RequestError } from '../../../src/errors.js'
import { FeedbackStore } from '../../../src/feedback/feedback-store.js'

const root = mkdtempSync(join(tmpdir(), 'fairlead-feedback-'))
after(() => { rmSync(root, { recursive: true }) })
let folders = 0

/** A store in a folder of its own, closed when the test ends. */
function open (
  t: TestContext, maxCompletions = 100, folder = join(root, String(folders++))
): { store: FeedbackStore, folder: string } {
  const store = new FeedbackStore(folder, maxCompletions)
  t.after(() => { store.close() })
  return { store, folder }
}

const stored = (
  id: string, text = 'an answer'
) => ({ id, caller: 'me', messages: [{ role: 'user', content: `ask ${id}` }], completion: { id, text } })
const failsWith = (code: string, message: RegExp) => (error: unknown): boolean =>
  error instanceof RequestError && error.code === code && message.test(error.message)

test('what is stored is there when opened again, and nothing is written before something is stored', t => {
  const { store, folder } = open(t)
  assert.equal(existsSync(folder), false)
  store.storeCompletion(stored('a'))
  const entry = store.add('a', 'default', { kind: 'labels', answer: 'an answer', label: 1 })
  store.close()
  const { store: again } = open(t, 100, folder)
  assert.deepEqual(again.completion('a'), stored('a'))
  assert.deepEqual(again.list({ limit: 10 }), [entry])
  assert.deepEqual(again.examples('default', null),
    { kind: 'labels', labelled: [{ messages: [{ role: 'user', content: 'ask a' }], answer: 'an answer', label: 1 }] })
})

test('a data set with several kinds asks which', t => {
  const { store } = open(t)
  store.storeCompletion(stored('a'))
  store.add('a', 'tone', { kind: 'pairs', chosen: 'x', rejected: 'y' })
  store.add('a', 'tone', { kind: 'scores', answer: 'x', score: 0.5 })
  assert.throws(() => store.examples('tone', null),
    failsWith('invalid_request', /feedback\.kind .*"tone".*pairs, scores/))
  assert.throws(() => store.examples('tone', 'labels'), failsWith('invalid_request', /got "labels"/))
  assert.throws(() => store.examples('other', null), failsWith('invalid_request', /"other"/))
  assert.equal(store.examples('tone', 'scores').kind, 'scores')
})

test('deleting a completion deletes what was said of it, and no text of either is left in the file', t => {
  const { store, folder } = open(t)
  store.storeCompletion(stored('a', 'an unmistakable answer'))
  store.storeCompletion(stored('b'))
  store.add('a', 'default', { kind: 'pairs', chosen: 'an unmistakable choice', rejected: 'y' })
  const kept = store.add('b', 'default', { kind: 'pairs', chosen: 'x', rejected: 'y' })
  assert.ok(readFileSync(join(folder, 'feedback.sqlite')).includes('unmistakable'))
  store.deleteCompletion('a')
  assert.throws(() => store.completion('a'), failsWith('not_found', /"a" not found/))
  assert.deepEqual(store.list({ limit: 10 }), [kept])
  assert.ok(!readFileSync(join(folder, 'feedback.sqlite')).includes('unmistakable'))
  store.delete(kept.id)
  assert.throws(() => { store.delete(kept.id) }, failsWith('not_found', /not found/))
})

test('beyond the limit the oldest completions without feedback go', t => {
  const { store } = open(t, 2)
  for (const id of ['a', 'b']) store.storeCompletion(stored(id))
  store.add('a', 'default', { kind: 'scores', answer: 'x', score: 1 })
  for (const id of ['c', 'd']) store.storeCompletion(stored(id))
  for (const id of ['a', 'c', 'd']) assert.equal(store.completion(id).id, id)
  assert.throws(() => store.completion('b'), failsWith('not_found', /"b" not found/))
})

test('feedback is listed by pages and data sets', t => {
  const { store } = open(t)
  store.storeCompletion(stored('a'))
  const entries = ['one', 'two', 'one', 'one'].map((dataset, score) =>
    store.add('a', dataset, { kind: 'scores', answer: 'x', score }))
  assert.deepEqual(store.list({ dataset: 'one', limit: 2 }), [entries[0], entries[2]])
  assert.deepEqual(store.list({ dataset: 'one', limit: 2, after: entries[2]!.id }), [entries[3]])
  assert.throws(() => store.list({ limit: 1, after: 'nowhere' }), failsWith('not_found', /"nowhere" not found/))
})

test('a file that cannot be written, or is no database, is an error that says so', t => {
  const blocked = join(root, 'blocked')
  writeFileSync(blocked, '')
  assert.throws(() => { open(t, 10, join(blocked, 'data')).store.check() },
    failsWith('storage_failed', /completions and feedback.*blocked/))
  const { store, folder } = open(t)
  store.check()
  store.close()
  writeFileSync(join(folder, 'feedback.sqlite'),
    'this is no database, and it is long enough to be read as one: '.repeat(20))
  assert.throws(() => { store.storeCompletion(stored('a')) }, failsWith('storage_failed', /not a database/))
})
