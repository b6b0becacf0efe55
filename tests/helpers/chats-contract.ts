/** What holds for stored chats and feedback wherever they are kept. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { RequestError } from '../../src/errors.js'
import { examplesOf, type ChatLimits, type Chats, type StoredCompletion } from '../../src/stores/chats.js'

/** Opens an empty one that is closed when the test ends. */
type Open = (t: TestContext, limits: ChatLimits) => Promise<Chats>

const limits: ChatLimits = { completions: 100, bytesPerCaller: 1 << 20, bytes: 1 << 24 }

export const storedChat = (id: string, text = 'an answer'): StoredCompletion =>
  ({ id, caller: 'me', messages: [{ role: 'user', content: `ask ${id}` }], completion: { id, text } })

export const failsWith = (code: string, message: RegExp) => (error: unknown): boolean =>
  error instanceof RequestError && error.code === code && message.test(error.message)

/** Declares the tests. @param kept where, for their names */
export function testChats (kept: string, openChats: Open): void {
  const open = (t: TestContext, own: Partial<ChatLimits> = {}): Promise<Chats> => openChats(t, { ...limits, ...own })

  test(`${kept}: chats and feedback are there as they were stored, odd characters too`, async t => {
    const store = await open(t)
    const odd = { ...storedChat('a', 'NUL \u0000, half a pair \ud83d, é, 🦦'), caller: 'näme' }
    await store.storeCompletion(odd)
    assert.deepEqual(await store.completion('a'), odd)
    const entry = await store.add('a', 'default', { kind: 'labels', answer: 'an answer\u0000', label: 1 })
    assert.deepEqual(await store.list({ limit: 10 }), { entries: [entry], hasMore: false })
    assert.deepEqual(await examplesOf(store, 'default', null), {
      kind: 'labels',
      labelled: [{ messages: [{ role: 'user', content: 'ask a' }], answer: 'an answer\u0000', label: 1 }]
    })
    await store.deleteCompletion('a')
    await assert.rejects(store.completion('a'), failsWith('not_found', /"a" not found/))
    await assert.rejects(store.add('a', 'default', { kind: 'labels', answer: 'x', label: 1 }),
      failsWith('not_found', /"a" not found/))
    assert.deepEqual((await store.list({ limit: 10 })).entries, [])
  })

  test(`${kept}: a data set with several kinds asks which`, async t => {
    const store = await open(t)
    await store.storeCompletion(storedChat('a'))
    await store.add('a', 'tone', { kind: 'pairs', chosen: 'x', rejected: 'y' })
    await store.add('a', 'tone', { kind: 'scores', answer: 'x', score: 0.5 })
    await assert.rejects(examplesOf(store, 'tone', null),
      failsWith('invalid_request', /feedback\.kind .*"tone".*pairs, scores/))
    await assert.rejects(examplesOf(store, 'tone', 'labels'), failsWith('invalid_request', /got "labels"/))
    await assert.rejects(examplesOf(store, 'other', null), failsWith('invalid_request', /"other"/))
    assert.equal((await examplesOf(store, 'tone', 'scores')).kind, 'scores')
  })

  test(`${kept}: beyond the limit the oldest completions without feedback go`, async t => {
    const store = await open(t, { completions: 2 })
    for (const id of ['a', 'b']) await store.storeCompletion(storedChat(id))
    await store.add('a', 'default', { kind: 'scores', answer: 'x', score: 1 })
    for (const id of ['c', 'd']) await store.storeCompletion(storedChat(id))
    for (const id of ['a', 'c', 'd']) assert.equal((await store.completion(id)).id, id)
    await assert.rejects(store.completion('b'), failsWith('not_found', /"b" not found/))
  })

  test(`${kept}: by bytes too: a caller’s own oldest go, and none of another’s`, async t => {
    const store = await open(t, { bytesPerCaller: 5000 })
    const there = (id: string): Promise<boolean> => store.completion(id).then(() => true, () => false)
    await store.storeCompletion({ ...storedChat('z'), caller: 'other' })
    await store.storeCompletion(storedChat('rated'))
    await store.add('rated', 'default', { kind: 'scores', answer: 'x', score: 1 })
    for (const id of ['a', 'b', 'c', 'd']) await store.storeCompletion(storedChat(id, 'x'.repeat(2000)))
    assert.deepEqual(await Promise.all(['z', 'rated', 'a', 'b', 'c', 'd'].map(there)),
      [true, true, false, false, true, true])
    await assert.rejects(store.check('me', [{ role: 'user', content: 'x'.repeat(5000) }]),
      failsWith('storage_failed', /stored-completion-bytes-per-key/))
    assert.ok(await there('d'), 'nothing went for what cannot be stored')
  })

  test(`${kept}: where all is full a caller’s own go, and with none the chat and the feedback are refused`, async t => {
    const store = await open(t, { bytes: 1 << 20 })
    const text = 'x'.repeat(100_000)
    for (let index = 0; index < 30; index++) {
      await store.check('me', [])
      await store.storeCompletion(storedChat(String(index), text))
    }
    assert.equal((await store.completion('29')).id, '29')
    const chat = { ...storedChat('theirs', text), caller: 'other' }
    await assert.rejects(store.storeCompletion(chat), failsWith('storage_failed', /\(stored-completion-bytes\)/))
    await assert.rejects(store.check('other', [{ role: 'user', content: text }]),
      failsWith('storage_failed', /no room/))
    await assert.rejects(store.add('29', 'default', { kind: 'pairs', chosen: text, rejected: text }),
      failsWith('storage_failed', /no room for more feedback/))
  })

  test(`${kept}: a page of long entries ends early, and says that there are more`, async t => {
    const store = await open(t, { bytesPerCaller: 1 << 24 })
    const long = 'x'.repeat(3 << 20)
    for (const id of ['a', 'b', 'c']) {
      await store.storeCompletion({ ...storedChat(id), messages: [{ role: 'user', content: long }] })
      await store.add(id, 'default', { kind: 'scores', answer: 'x', score: 1 })
    }
    const { entries, hasMore } = await store.list({ limit: 10 })
    assert.deepEqual([entries.length, hasMore], [2, true])
    assert.equal((await store.list({ limit: 10, after: entries[1]!.id })).entries.length, 1)
  })

  test(`${kept}: feedback is listed by pages and data sets, and deleted`, async t => {
    const store = await open(t)
    await store.storeCompletion(storedChat('a'))
    const entries = []
    for (const [score, dataset] of ['one', 'two', 'one', 'one'].entries()) {
      entries.push(await store.add('a', dataset, { kind: 'scores', answer: 'x', score }))
    }
    assert.deepEqual(await store.list({ dataset: 'one', limit: 2 }),
      { entries: [entries[0], entries[2]], hasMore: true })
    assert.deepEqual(await store.list({ dataset: 'one', limit: 2, after: entries[2]!.id }),
      { entries: [entries[3]], hasMore: false })
    await assert.rejects(store.list({ limit: 1, after: 'nowhere' }), failsWith('not_found', /"nowhere" not found/))
    await store.delete(entries[0]!.id)
    await assert.rejects(store.delete(entries[0]!.id), failsWith('not_found', /not found/))
  })
}
