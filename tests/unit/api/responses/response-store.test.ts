import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Keys } from '../../../../src/api/plugins/keys.js'
import { StoredResponse, type KeptResponse } from '../../../../src/api/responses/stored-response.js'
import type { BackgroundResponse } from '../../../../src/api/responses/background-response.js'
import type { ResponseMessage } from '../../../../src/api/responses/response-types.js'
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
const limits = {
  storedResponses: 8, storedResponseBytes: 1 << 20, storedResponseBytesPerKey: 1 << 20, bodyLimitBytes: 1 << 20
}
const kept = (text = '', id = 'msg_0'): KeptResponse => ({
  input: [{ id: `${id}_in`, type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_text', text }] }],
  response: { output: [{ id, type: 'message', role: 'assistant', status: 'completed', content: [] }] } as unknown as
    KeptResponse['response'],
  isBackground: false,
  events: null
})
const textOf = (response: KeptResponse | null): unknown => (response?.input[0] as ResponseMessage).content[0]!.text
/** Bytes that one without text takes. */
const empty = new StoredResponse(kept(), true).bytes
const has = (
  store: ResponseStore, ids: readonly string[]
): boolean[] => ids.map(id => store.find(one, id) !== null)

test('each caller sees its own responses', () => {
  const store = new ResponseStore(limits)
  store.keep(one, 'resp_1', kept('mine'))
  assert.equal(textOf(store.find(one, 'resp_1')), 'mine')
  assert.equal(store.find(other, 'resp_1'), null)
  assert.equal(store.delete(other, 'resp_1'), false)
  assert.equal(store.delete(one, 'resp_1'), true)
  assert.equal(store.find(one, 'resp_1'), null)
  assert.equal(store.bytes, 0)
})

test('the least recently used of a caller go first, by number', () => {
  const store = new ResponseStore({ ...limits, storedResponses: 2 })
  store.keep(other, 'z', kept())
  for (const id of ['a', 'b']) store.keep(one, id, kept())
  store.find(one, 'a')
  store.keep(one, 'c', kept())
  assert.deepEqual(has(store, ['a', 'b', 'c']), [true, false, true])
  assert.ok(store.find(other, 'z'), 'another’s is there still')
})

test('and by bytes; one that is larger than all may be is not kept, and nothing goes for it', () => {
  const store = new ResponseStore({ ...limits, storedResponseBytesPerKey: 2 * empty + 700 })
  for (const id of ['a', 'b', 'c']) assert.equal(store.keep(one, id, kept('x'.repeat(300))), true)
  assert.deepEqual(has(store, ['a', 'b', 'c']), [false, true, true])
  assert.equal(store.keep(one, 'd', kept('x'.repeat(4000))), false)
  assert.deepEqual(has(store, ['b', 'c', 'd']), [true, true, false])
  assert.ok(store.bytes <= 2 * empty + 700)
})

test('a caller that fills the store takes nothing from another, and where nothing is left is told so', () => {
  const store = new ResponseStore({ ...limits, storedResponseBytes: 4 * empty, storedResponseBytesPerKey: 3 * empty })
  assert.equal(store.keep(other, 'z', kept()), true)
  for (let index = 0; index < 20; index++) assert.equal(store.keep(one, String(index), kept()), true)
  assert.ok(store.find(other, 'z'))
  assert.deepEqual(has(store, ['16', '17', '18', '19']), [false, true, true, true])
  // Its own makes room for it; more than its own does not.
  assert.equal(store.keep(other, 'y', kept()), true)
  assert.equal(store.find(other, 'z'), null)
  assert.equal(store.keep(other, 'x', kept('x'.repeat(empty))), false)
  assert.ok(store.find(other, 'y'))
})

test('a conversation of more than twice a body is not kept', () => {
  const store = new ResponseStore({ ...limits, bodyLimitBytes: 1024 })
  assert.equal(store.keep(one, 'a', kept('x'.repeat(2048))), false)
  assert.throws(() => { store.checkConversation(2049) }, { code: 'invalid_request', param: 'input' })
})

test('items are found in what stored responses read and wrote, while one has them', () => {
  const store = new ResponseStore(limits)
  store.keep(one, 'a', kept('mine', 'msg_a'))
  store.keep(one, 'b', kept('again', 'msg_a'))
  store.keep(one, 'hidden', kept('', 'msg_c'), false)
  const ids = new Set(['msg_a', 'msg_a_in', 'msg_c', 'msg_d'])
  assert.deepEqual([...store.items(one, ids).keys()].sort(), ['msg_a', 'msg_a_in'])
  assert.equal((store.items(one, ids).get('msg_a_in') as ResponseMessage).content[0]!.text, 'again')
  store.delete(one, 'b')
  assert.equal((store.items(one, ids).get('msg_a_in') as ResponseMessage).content[0]!.text, 'mine')
  assert.equal(store.items(other, ids).size, 0)
})

test('what only its socket goes on from counts, is found there alone, and is forgotten with it', () => {
  const store = new ResponseStore(limits)
  store.keep(one, 'a', kept('mine'), false)
  store.keep(one, 'b', kept(), true)
  assert.equal(store.find(one, 'a'), null)
  assert.equal(textOf(store.findLast(one, 'a')), 'mine')
  for (const id of ['a', 'b']) store.forget(one, id)
  assert.equal(store.findLast(one, 'a'), null)
  assert.ok(store.find(one, 'b'))
  assert.equal(store.bytes, empty)
})

test('events of one that runs count as they come, and one too many is refused', () => {
  const store = new ResponseStore({ ...limits, storedResponseBytesPerKey: 4 * empty })
  const running = { kept: { ...kept(), isBackground: true }, cancel: () => {} } as unknown as BackgroundResponse
  store.keep(one, 'old', kept())
  store.begin(one, 'r', running)
  store.hold(one, 'r', 3 * empty)
  assert.ok(store.find(one, 'old'))
  store.hold(one, 'r', empty)
  assert.equal(store.find(one, 'old'), null, 'its own went')
  assert.throws(() => { store.hold(one, 'r', 1) }, { code: 'rate_limit_exceeded' })
  store.end(one, 'r')
  assert.equal(store.bytes, empty)
  assert.equal(store.find(one, 'r')!.isBackground, true)
})
