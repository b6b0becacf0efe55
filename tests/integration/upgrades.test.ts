/** Requests for an upgrade: what is no WebSocket is an ordinary request; handshakes are checked before 101. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { RawClient } from '../helpers/raw-client.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const key = 'a-key-of-some-length'
let server: TinyServer
let locked: TinyServer
before(async () => {
  server = await tinyServer({})
  locked = await tinyServer({ apiKeys: key })
})
after(async () => { await Promise.all([server.close(), locked.close()]) })

const chat = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 4, temperature: 0 }
const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n'
const post = (body: string, more: string): string => 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n' +
  `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`
const handshake = (path: string, more = '', sent = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
  'Sec-WebSocket-Version: 13\r\n'): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n` +
  `Upgrade: websocket\r\n${sent}${more}\r\n`

test('an offer of HTTP/2 is not taken: the request is answered, and so are the next ones', async () => {
  const client = new RawClient(server.address)
  const body = JSON.stringify(chat)
  client.write(post(body, h2c))
  const offered = await client.answer()
  client.write(post(body, ''))
  const plain = await client.answer()
  const contentOf = ({ body }: { body: string }): unknown => JSON.parse(body).choices[0].message.content
  assert.deepEqual([offered.status, contentOf(offered)], [200, contentOf(plain)])
  // A body that comes later than its head, in chunks, larger than what a socket reads at once.
  const long = JSON.stringify({ ...chat, user: 'ü'.repeat(200_000) })
  client.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n${h2c}Content-Type: application/json\r\n` +
    `Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n${Buffer.byteLength(long).toString(16)}\r\n`)
  client.write(Buffer.from(long), '\r\n0\r\n\r\n')
  assert.equal(contentOf(await client.answer()), contentOf(plain))
  for (const [method, path, status] of [['GET', '/health', 200], ['HEAD', '/health', 200], ['GET', '/nowhere', 404],
    ['DELETE', '/v1/models', 405], ['GET', '/v1/stream', 426], ['OPTIONS', '/health', 405]] as const) {
    client.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${h2c}\r\n`)
    assert.equal((await client.answer(method !== 'HEAD')).status, status, `${method} ${path}`)
  }
  client.socket.destroy()
})

test('what else the Connection header says holds', async () => {
  const client = new RawClient(server.address)
  client.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n')
  assert.match(await client.closed(), /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*connection: close\r\n/i)
})

test('pipelined answers keep their order, whichever of their requests asks for an upgrade', async () => {
  const client = new RawClient(server.address)
  const search = JSON.stringify({ ...chat, max_tokens: 50, ignore_eos: true })
  client.write(post(search, 'X-Request-Id: one\r\n') + post(search, `${h2c}X-Request-Id: two\r\n`) +
    `GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: three\r\n${h2c}\r\n` +
    handshake('/v1/stream', 'X-Request-Id: four\r\n'))
  for (const id of ['one', 'two', 'three']) {
    const { status, headers } = await client.answer()
    assert.deepEqual([status, headers['x-request-id']], [200, id])
  }
  assert.equal((await client.answer()).status, 101)
  client.socket.destroy()
})

test('a client that disconnects after its offer leaves the server as it was', async () => {
  for (let count = 0; count < 20; count++) {
    const client = new RawClient(server.address)
    client.write(post(JSON.stringify(chat), h2c))
    if (count % 2 === 0) await once(client.socket, 'connect')
    client.socket.resetAndDestroy()
  }
  assert.equal((await fetch(`${server.address}/health`)).status, 200)
})

test('a WebSocket where none is opened, and a handshake that is not whole, are refused in OpenAI’s form', async () => {
  const cases: ReadonlyArray<readonly [string, number, string]> = [
    [handshake('/health'), 404, 'not_found'],
    [handshake('/v1/models?a=b'), 404, 'not_found'],
    [handshake('/v1/responses/'), 404, 'not_found'],
    [handshake('/nowhere'), 404, 'not_found'],
    [handshake('/v1/stream', '', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'), 426, 'upgrade_required'],
    [handshake('/v1/stream', '', 'Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n'), 426, 'upgrade_required'],
    [handshake('/v1/responses', 'Sec-WebSocket-Protocol: a, a\r\n'), 426, 'upgrade_required'],
    [handshake('/v1/responses', 'Sec-WebSocket-Protocol: openai-insecure-api-key.k\r\n'), 400, 'invalid_request'],
    [handshake('/v1/stream', 'Origin: https://evil.test\r\n'), 403, 'permission_denied'],
    [handshake('/v1/chat/completions').replace('GET', 'POST'), 400, 'invalid_request']
  ]
  for (const [request, status, code] of cases) {
    const client = new RawClient(server.address).write(request)
    const { headers, body, ...answer } = await client.answer()
    assert.deepEqual([answer.status, body && JSON.parse(body).error.code], [status, code], request)
    assert.ok(headers['x-request-id'])
    if (status === 426) assert.deepEqual([headers['upgrade'], headers['sec-websocket-version']], ['websocket', '13'])
    client.socket.destroy()
  }
  // The connection of a handshake that is refused is closed.
  await new RawClient(locked.address).write(handshake('/v1/stream')).closed()
})

test('a web page’s key is a subprotocol; another one is chosen, and the key is never sent back', async () => {
  for (const path of ['/v1/stream', '/v1/responses']) {
    const open = (protocols: string[], headers = {}): WebSocket =>
      new WebSocket(`${locked.address.replace('http', 'ws')}${path}`, protocols, { headers })
    const good = open([`openai-insecure-api-key.${key}`, 'openai-organization.me', 'realtime', 'other'])
    const [[response]] = await Promise.all([once(good, 'upgrade'), once(good, 'open')])
    assert.equal(good.protocol, 'realtime')
    assert.doesNotMatch(JSON.stringify(response.headers), new RegExp(key))
    good.send('{}')
    assert.equal(JSON.parse(String((await once(good, 'message'))[0])).type, 'error')
    good.terminate()
    for (const [protocols, status] of [[['openai-insecure-api-key.wrong', 'realtime'], 401], [['realtime'], 401],
      [[`openai-insecure-api-key.${key}`], 400]] as const) {
      const bad = open([...protocols])
      bad.on('error', () => {})
      const [, refused] = await once(bad, 'unexpected-response')
      assert.equal(refused.statusCode, status)
      let text = ''
      for await (const part of refused) text += String(part)
      assert.doesNotMatch(text, /wrong|a-key-of/)
    }
    const byHeader = open(['realtime'], { authorization: `Bearer ${key}` })
    await once(byHeader, 'open')
    byHeader.terminate()
  }
})
