import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chosenProtocol, keyOffered, offeredProtocols } from '../../../../src/api/transport/subprotocols.js'

const offer = (value: string): { 'sec-websocket-protocol': string } => ({ 'sec-websocket-protocol': value })

test('the key is found among what is offered, and something else is chosen', () => {
  const offered = 'realtime, openai-insecure-api-key.sk-a.b_c~1, openai-organization.me, openai-beta.realtime-v1'
  assert.equal(keyOffered(offer(offered)), 'sk-a.b_c~1')
  assert.equal(chosenProtocol(offeredProtocols(offer(offered))!), 'realtime')
  assert.equal(chosenProtocol(['openai-project.p', 'openai-insecure-api-key.k', 'mine']), 'mine')
})

test('without a key, or with nothing beside it, there is none', () => {
  assert.deepEqual([keyOffered({}), keyOffered(offer('realtime')), offeredProtocols({})], [null, null, []])
  assert.equal(chosenProtocol(['openai-insecure-api-key.k', 'openai-organization.me']), false)
  assert.equal(chosenProtocol([]), false)
})

test('what is no list of different names is none', () => {
  for (const value of ['', 'a,,b', 'a, a', 'a b', 'a/b', '"a"', 'ü']) {
    assert.equal(offeredProtocols(offer(value)), null, value)
    assert.equal(keyOffered(offer(`${value}, openai-insecure-api-key.k`)), null, value)
  }
})
