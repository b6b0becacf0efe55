import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { DatabaseSync } from '@photostructure/sqlite'
import { RequestError } from '../../../src/errors.js'
import { FeedbackStore, type FeedbackLimits } from '../../../src/feedback/feedback-store.js'

const root = mkdtempSync(join(tmpdir(), 'fairlead-feedback-'))
after(() => { rmSync(root, { recursive: true }) })
let folders = 0

/** A store in a folder of its own, closed when the test ends. */
function open (
  t: TestContext, own: Partial<FeedbackLimits> = {}, folder = join(root, String(folders++))
): { store: FeedbackStore, folder: string } {
  const store = new FeedbackStore(folder, { completions: 100, bytesPerCaller: 1 << 20, bytes: 1 << 24, ...own })
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
  const { store: again } = open(t, {}, folder)
  assert.deepEqual(again.completion('a'), stored('a'))
  assert.deepEqual(again.list({ limit: 10 }), { entries: [entry], hasMore: false })
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
  assert.deepEqual(store.list({ limit: 10 }).entries, [kept])
  assert.ok(!readFileSync(join(folder, 'feedback.sqlite')).includes('unmistakable'))
  store.delete(kept.id)
  assert.throws(() => { store.delete(kept.id) }, failsWith('not_found', /not found/))
})

test('beyond the limit the oldest completions without feedback go', t => {
  const { store } = open(t, { completions: 2 })
  for (const id of ['a', 'b']) store.storeCompletion(stored(id))
  store.add('a', 'default', { kind: 'scores', answer: 'x', score: 1 })
  for (const id of ['c', 'd']) store.storeCompletion(stored(id))
  for (const id of ['a', 'c', 'd']) assert.equal(store.completion(id).id, id)
  assert.throws(() => store.completion('b'), failsWith('not_found', /"b" not found/))
})

test('by bytes too: a caller’s own oldest go, and none of another’s', t => {
  const { store } = open(t, { bytesPerCaller: 5000 })
  const there = (id: string): boolean => {
    try {
      return store.completion(id).id === id
    } catch {
      return false
    }
  }
  store.storeCompletion({ ...stored('z'), caller: 'other' })
  store.storeCompletion(stored('rated'))
  store.add('rated', 'default', { kind: 'scores', answer: 'x', score: 1 })
  for (const id of ['a', 'b', 'c', 'd']) store.storeCompletion(stored(id, 'x'.repeat(2000)))
  assert.deepEqual(['z', 'rated', 'a', 'b', 'c', 'd'].map(there), [true, true, false, false, true, true])
  assert.throws(() => { store.check('me', [{ role: 'user', content: 'x'.repeat(5000) }]) },
    failsWith('storage_failed', /stored-completion-bytes-per-key/))
  assert.ok(there('d'), 'nothing went for what cannot be stored')
})

test('where the file is full a caller’s own go, and with none the chat and the feedback are refused', t => {
  const { store, folder } = open(t, { bytes: 1 << 20 })
  const text = 'x'.repeat(100_000)
  for (let index = 0; index < 30; index++) {
    store.check('me', [])
    store.storeCompletion(stored(String(index), text))
  }
  assert.equal(store.completion('29').id, '29')
  assert.ok(statSync(join(folder, 'feedback.sqlite')).size < 1.2 * (1 << 20))
  const chat = { ...stored('theirs', text), caller: 'other' }
  assert.throws(() => { store.storeCompletion(chat) }, failsWith('storage_failed', /\(stored-completion-bytes\)/))
  assert.throws(() => { store.check('other', [{ role: 'user', content: text }]) }, failsWith('storage_failed', /no room/))
  assert.throws(() => store.add('29', 'default', { kind: 'pairs', chosen: text, rejected: text }),
    failsWith('storage_failed', /no room for more feedback/))
})

test('a page of long entries ends early, and says that there are more', t => {
  const { store } = open(t, { bytesPerCaller: 1 << 24 })
  const long = 'x'.repeat(3 << 20)
  for (const id of ['a', 'b', 'c']) {
    store.storeCompletion({ ...stored(id), messages: [{ role: 'user', content: long }] })
    store.add(id, 'default', { kind: 'scores', answer: 'x', score: 1 })
  }
  const { entries, hasMore } = store.list({ limit: 10 })
  assert.deepEqual([entries.length, hasMore], [2, true])
  assert.equal(store.list({ limit: 10, after: entries[1]!.id }).entries.length, 1)
})

test('a file of before sizes were kept is read on', t => {
  const { store, folder } = open(t)
  store.storeCompletion(stored('a'))
  store.close()
  const database = new DatabaseSync(join(folder, 'feedback.sqlite'))
  database.exec('DROP INDEX completions_by_caller; ALTER TABLE completions DROP COLUMN bytes; PRAGMA user_version = 0')
  database.close()
  const { store: again } = open(t, { completions: 1 }, folder)
  again.storeCompletion(stored('b'))
  assert.throws(() => again.completion('a'), failsWith('not_found', /evicted/))
  assert.equal(again.completion('b').id, 'b')
})

test('feedback is listed by pages and data sets', t => {
  const { store } = open(t)
  store.storeCompletion(stored('a'))
  const entries = ['one', 'two', 'one', 'one'].map((dataset, score) =>
    store.add('a', dataset, { kind: 'scores', answer: 'x', score }))
  assert.deepEqual(store.list({ dataset: 'one', limit: 2 }),
    { entries: [entries[0], entries[2]], hasMore: true })
  assert.deepEqual(store.list({ dataset: 'one', limit: 2, after: entries[2]!.id }),
    { entries: [entries[3]], hasMore: false })
  assert.throws(() => store.list({ limit: 1, after: 'nowhere' }), failsWith('not_found', /"nowhere" not found/))
})

test('a file that cannot be written, or is no database, is an error that says so', t => {
  const blocked = join(root, 'blocked')
  writeFileSync(blocked, '')
  assert.throws(() => { open(t, {}, join(blocked, 'data')).store.check('me', []) },
    failsWith('storage_failed', /completions and feedback.*blocked/))
  const { store, folder } = open(t)
  store.check('me', [])
  store.close()
  writeFileSync(join(folder, 'feedback.sqlite'),
    'this is no database, and it is long enough to be read as one: '.repeat(20))
  assert.throws(() => { store.storeCompletion(stored('a')) }, failsWith('storage_failed', /not a database/))
})
