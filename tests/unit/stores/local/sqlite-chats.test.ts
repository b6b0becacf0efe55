import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { DatabaseSync } from '@photostructure/sqlite'
import type { ChatLimits } from '../../../../src/stores/chats.js'
import { SqliteChats } from '../../../../src/stores/local/sqlite-chats.js'
import { failsWith, storedChat, testChats } from '../../../helpers/chats-contract.js'

const root = mkdtempSync(join(tmpdir(), 'fairlead-feedback-'))
after(() => { rmSync(root, { recursive: true }) })
let folders = 0

/** A store in a folder of its own, closed when the test ends. */
function open (
  t: TestContext, own: Partial<ChatLimits> = {}, folder = join(root, String(folders++))
): { store: SqliteChats, folder: string } {
  const store = new SqliteChats(folder, { completions: 100, bytesPerCaller: 1 << 20, bytes: 1 << 24, ...own })
  t.after(() => { store.close() })
  return { store, folder }
}

testChats('in a file', async (t, limits) => open(t, limits).store)

test('what is stored is there when opened again, and nothing is written before something is stored', async t => {
  const { store, folder } = open(t)
  assert.equal(existsSync(folder), false)
  await store.storeCompletion(storedChat('a'))
  const entry = await store.add('a', 'default', { kind: 'labels', answer: 'an answer', label: 1 })
  store.close()
  const { store: again } = open(t, {}, folder)
  assert.deepEqual(await again.completion('a'), storedChat('a'))
  assert.deepEqual(await again.list({ limit: 10 }), { entries: [entry], hasMore: false })
})

test('deleting a completion deletes what was said of it, and no text of either is left in the file', async t => {
  const { store, folder } = open(t)
  await store.storeCompletion(storedChat('a', 'an unmistakable answer'))
  await store.storeCompletion(storedChat('b'))
  await store.add('a', 'default', { kind: 'pairs', chosen: 'an unmistakable choice', rejected: 'y' })
  const kept = await store.add('b', 'default', { kind: 'pairs', chosen: 'x', rejected: 'y' })
  assert.ok(readFileSync(join(folder, 'feedback.sqlite')).includes('unmistakable'))
  await store.deleteCompletion('a')
  assert.deepEqual((await store.list({ limit: 10 })).entries, [kept])
  assert.ok(!readFileSync(join(folder, 'feedback.sqlite')).includes('unmistakable'))
})

test('the file stays within its bytes', async t => {
  const { store, folder } = open(t, { bytes: 1 << 20 })
  for (let index = 0; index < 30; index++) {
    await store.storeCompletion(storedChat(String(index), 'x'.repeat(100_000)))
  }
  assert.ok(statSync(join(folder, 'feedback.sqlite')).size < 1.2 * (1 << 20))
})

test('a file of before sizes were kept is read on', async t => {
  const { store, folder } = open(t)
  await store.storeCompletion(storedChat('a'))
  store.close()
  const database = new DatabaseSync(join(folder, 'feedback.sqlite'))
  database.exec('DROP INDEX completions_by_caller; ALTER TABLE completions DROP COLUMN bytes; PRAGMA user_version = 0')
  database.close()
  const { store: again } = open(t, { completions: 1 }, folder)
  await again.storeCompletion(storedChat('b'))
  await assert.rejects(again.completion('a'), failsWith('not_found', /evicted/))
  assert.equal((await again.completion('b')).id, 'b')
})

test('a file that cannot be written, or is no database, is an error that says so', async t => {
  const blocked = join(root, 'blocked')
  writeFileSync(blocked, '')
  await assert.rejects(open(t, {}, join(blocked, 'data')).store.check('me', []),
    failsWith('storage_failed', /completions and feedback.*blocked/))
  const { store, folder } = open(t)
  await store.check('me', [])
  store.close()
  writeFileSync(join(folder, 'feedback.sqlite'),
    'this is no database, and it is long enough to be read as one: '.repeat(20))
  await assert.rejects(store.storeCompletion(storedChat('a')), failsWith('storage_failed', /not a database/))
})
