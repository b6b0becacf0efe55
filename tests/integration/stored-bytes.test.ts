/**
 * What a server keeps for its callers has bounds in bytes, for each key and in all: responses, those that only a
 * socket goes on from, events of background responses, messages that wait on sockets.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const [mine, theirs] = ['key-of-the-one-who-asks-much', 'key-of-the-one-who-asks-little']
const kilobytes = (count: number): string => 'x'.repeat(count * 1024)
let server: TinyServer
before(async () => {
  server = await tinyServer({
    apiKeys: `${mine},${theirs}`,
    bodyLimitBytes: String(64 << 10),
    maxPendingRequestBytes: String(2 << 20),
    storedResponseBytesPerKey: String(100 << 10),
    storedResponseBytes: String(150 << 10)
  })
})
after(() => server.close())

type Json = Record<string, any>
const base = { model: 'tiny', max_output_tokens: 2, ignore_eos: true, seed: 1 }
const headersOf = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })
const respond = async (key: string, body: object): Promise<Json> =>
  (await server.post('/v1/responses', { ...base, input: 'hi', ...body }, headersOf(key))).json
const get = async (key: string, path: string): Promise<{ status: number, json: Json }> => {
  const response = await fetch(`${server.address}${path}`, { headers: headersOf(key) })
  return { status: response.status, json: await response.json() as Json }
}
const isThere = async (key: string, id: string): Promise<boolean> =>
  (await get(key, `/v1/responses/${id}`)).status === 200

/** A socket of a key, with what its requests ended with, in order. */
async function talk (key: string): Promise<{ socket: WebSocket, ended: Json[], next: () => Promise<Json> }> {
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/responses`, { headers: headersOf(key) })
  const ended: Json[] = []
  const waiting: Array<() => void> = []
  socket.on('message', data => {
    const event = JSON.parse(String(data)) as Json
    if (!['error', 'response.incomplete', 'response.completed', 'response.failed'].includes(event['type'])) return
    ended.push(event)
    for (const wake of waiting.splice(0)) wake()
  })
  await once(socket, 'open')
  let read = 0
  const next = async (): Promise<Json> => {
    while (ended.length <= read) await new Promise<void>(resolve => { waiting.push(resolve) })
    return ended[read++]!
  }
  return { socket, ended, next }
}

/** Fields that the model does not read, and that are given back. */
const long = (count: number): Json => ({
  tools: [{ type: 'function', name: 'f', description: kilobytes(count) }], tool_choice: 'none'
})

test('a caller that stores much loses its own oldest, and another nothing; what cannot be kept says so', async () => {
  const kept = await respond(theirs, {})
  const ids: string[] = []
  for (let index = 0; index < 6; index++) ids.push((await respond(mine, long(30)))['id'])
  assert.deepEqual(await Promise.all(ids.map(async id => await isThere(mine, id))),
    [false, false, false, true, true, true])
  assert.ok(await isThere(theirs, kept['id']))
  // Beside what the other key holds there is no room for it.
  const unkept = await respond(theirs, long(60))
  assert.deepEqual([unkept['store'], await isThere(theirs, unkept['id'])], [false, false])
  assert.ok(await isThere(theirs, kept['id']), 'nothing goes for what cannot be kept')
  const { status, json } = await server.post('/v1/responses',
    { ...base, input: 'hi', background: true, stream: true, ...long(60) }, headersOf(theirs))
  assert.deepEqual([status, json['error'].code], [429, 'rate_limit_exceeded'])
  for (const id of ids.slice(3)) {
    await fetch(`${server.address}/v1/responses/${id}`, { method: 'DELETE', headers: headersOf(mine) })
  }
  assert.equal((await respond(theirs, long(60)))['store'], true)
})

test('events of a background response count, and one with too many fails alone', async () => {
  const body = {
    background: true,
    stream: true,
    max_output_tokens: 400,
    alignment: { strategy: 'best_of_n', num_candidates: 32, reward: 'length', return_progress: true }
  }
  const response = await fetch(`${server.address}/v1/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headersOf(mine) },
    body: JSON.stringify({ ...base, input: 'hi', ...body })
  })
  const last = (await response.text()).split('\n\n').filter(frame => frame.includes('data: ')).at(-1)!
  const { type, response: { status, error } } = JSON.parse(last.slice(last.indexOf('{'))) as Json
  assert.deepEqual([type, status, error.code], ['response.failed', 'failed', 'rate_limit_exceeded'], last)
  assert.equal((await respond(mine, {}))['store'], true)
})

test('responses that only their sockets go on from count too, and are forgotten with the socket', async () => {
  const { socket, next } = await talk(theirs)
  const ids: string[] = []
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    socket.send(JSON.stringify({
      type: 'response.create', ...base, store: false, stream_id: name, input: 'hi', generate: null, ...long(30)
    }))
    ids.push((await next())['response'].id)
  }
  const again = (id: string): void => {
    socket.send(JSON.stringify({
      type: 'response.create', ...base, store: false, stream_id: 'z', input: 'an', previous_response_id: id
    }))
  }
  again(ids[0]!)
  assert.equal((await next())['error'].code, 'previous_response_not_found')
  again(ids[4]!)
  assert.equal((await next())['type'], 'response.incomplete')
  assert.equal(await isThere(theirs, ids[4]!), false)
  socket.close()
  await once(socket, 'close')
})

test('messages that wait on sockets have a bound in bytes for each key', async () => {
  const { socket, next } = await talk(mine)
  const other = await talk(theirs)
  // A quarter of what all may have is 8 times the longest; all of one lane, so that they wait.
  const message = JSON.stringify({
    type: 'response.create', ...base, max_output_tokens: 100, store: false, input: 'hi', more: kilobytes(60)
  })
  for (let index = 0; index < 10; index++) socket.send(message)
  const { error, status } = await next()
  assert.deepEqual([status, error.code], [429, 'rate_limit_exceeded'])
  other.socket.send(JSON.stringify({ type: 'response.create', ...base, input: 'hi' }))
  assert.equal((await other.next())['type'], 'response.incomplete')
  for (const one of [socket, other.socket]) {
    one.close()
    await once(one, 'close')
  }
})

test('texts that are given back are short', async () => {
  for (const [field, length] of [['user', 513], ['safety_identifier', 65], ['prompt_cache_key', 65]] as const) {
    const { error } = await respond(theirs, { [field]: 'x'.repeat(length) })
    assert.deepEqual([error.param, error.code], [field, 'invalid_request'])
    assert.equal((await respond(theirs, { [field]: 'x'.repeat(length - 1) }))[field].length, length - 1)
  }
  const { json } = await server.post('/v1/chat/completions',
    { model: 'tiny', messages: [{ role: 'user', content: 'hi', name: kilobytes(1) }] }, headersOf(theirs))
  assert.equal(json['error'].param, 'messages[0].name')
})
