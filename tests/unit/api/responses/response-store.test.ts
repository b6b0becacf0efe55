import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Keys } from '../../../../src/api/plugins/keys.js'
import type { KeptResponse } from '../../../../src/api/responses/stored-response.js'
import { ResponseStore } from '../../../../src/api/responses/response-store.js'

const keys = new Keys({
  host: '127.0.0.1',
  apiKeys: ['a-key-long-enough', 'another-long-key-'],
  adminKeys: [],
  apiKeysFile: '',
  maxRequestsPerKey: 0,
  requestsPerMinutePerKey: 0,
  tokensPerMinutePerKey: 0
})
const [one, other] = [keys.find('Bearer a-key-long-enough'), keys.find('Bearer another-long-key-')]
const kept = (
  model = ''
): KeptResponse => ({ input: [], response: { model } as KeptResponse['response'], isBackground: false, events: null })

test('each caller sees its own responses', () => {
  const store = new ResponseStore({ storedResponses: 8, storedResponseBytes: 1 << 20 })
  store.keep(one, 'resp_1', kept('mine'))
  assert.equal(store.find(one, 'resp_1')!.response.model, 'mine')
  assert.equal(store.find(other, 'resp_1'), null)
  assert.equal(store.delete(other, 'resp_1'), false)
  assert.equal(store.delete(one, 'resp_1'), true)
  assert.equal(store.find(one, 'resp_1'), null)
})

test('the least recently used go first, by number', () => {
  const store = new ResponseStore({ storedResponses: 2, storedResponseBytes: 1 << 20 })
  for (const id of ['a', 'b']) store.keep(one, id, kept())
  store.find(one, 'a')
  store.keep(one, 'c', kept())
  assert.deepEqual(['a', 'b', 'c'].map(id => store.find(one, id) !== null), [true, false, true])
})

test('and by bytes; one that is larger than all may be is not kept', () => {
  const store = new ResponseStore({ storedResponses: 100, storedResponseBytes: 1000 })
  for (const id of ['a', 'b', 'c']) store.keep(one, id, kept('x'.repeat(300)))
  assert.deepEqual(['a', 'b', 'c'].map(id => store.find(one, id) !== null), [false, true, true])
  store.keep(one, 'd', kept('x'.repeat(2000)))
  assert.equal(store.find(one, 'd'), null)
  assert.equal(store.size, 2)
})
