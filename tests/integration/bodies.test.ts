/** How bodies and messages are read: content encodings, UTF-8, names and sizes that are refused. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { WebSocket } from 'ws'
import { RawClient } from '../helpers/raw-client.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const limit = 1 << 20
let server: TinyServer
before(async () => { server = await tinyServer({ bodyLimitBytes: String(limit) }) })
after(async () => { await server.close() })

const chat = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 4, temperature: 0 }
const text = Buffer.from(JSON.stringify(chat))

async function post (
  body: Buffer, headers: Record<string, string> = {}
): Promise<{ status: number, headers: Headers, json: Record<string, any> }> {
  const response = await fetch(`${server.address}/v1/chat/completions`,
    { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
  return { status: response.status, headers: response.headers, json: await response.json() as Record<string, any> }
}

test('compressed bodies are read as what they were', async () => {
  const plain = (await post(text)).json['choices'][0].message.content
  for (const [encoding, body] of [['gzip', gzipSync(text)], ['X-GZIP', gzipSync(text)], ['deflate', deflateSync(text)],
    ['identity', text]] as const) {
    const { status, json } = await post(body, { 'content-encoding': encoding })
    assert.deepEqual([status, json['choices'][0].message.content], [200, plain], encoding)
  }
  // Chunked, and on a connection that goes on.
  const client = new RawClient(server.address)
  const zipped = gzipSync(text)
  for (let count = 0; count < 2; count++) {
    client.write('POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' +
      `Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n${zipped.length.toString(16)}\r\n`, zipped,
    '\r\n0\r\n\r\n')
    assert.equal((await client.answer()).status, 200)
  }
  client.socket.destroy()
  assert.equal((await fetch(`${server.address}/health`, { headers: { 'content-encoding': 'br' } })).status, 200)
})

test('other encodings are refused by name, with those that are read', async () => {
  for (const [encoding, body] of [['br', brotliCompressSync(text)], ['zstd', text], ['gzip, gzip', text],
    ['__proto__', text]] as const) {
    const { status, headers, json } = await post(body, { 'content-encoding': encoding })
    assert.deepEqual([status, json['error'].code, headers.get('accept-encoding')],
      [415, 'unsupported_media_type', 'gzip, deflate'])
    assert.ok(json['error'].message.includes(JSON.stringify(encoding)), json['error'].message)
  }
})

test('a charset other than UTF-8 is refused, and so is half of a character', async () => {
  const typed = (charset: string): ReturnType<typeof post> =>
    post(text, { 'content-type': `application/json; charset=${charset}` })
  for (const charset of ['utf-8', 'UTF8', '"utf-8"', 'us-ascii']) {
    assert.equal((await typed(charset)).status, 200, charset)
  }
  for (const charset of ['latin1', 'iso-8859-1', 'utf-16le']) {
    const { status, json } = await typed(charset)
    assert.deepEqual([status, json['error'].code], [415, 'unsupported_media_type'])
    assert.ok(json['error'].message.includes(charset))
  }
  const { status, json } = await post(Buffer.from(text.toString().replace('hi', '\\ud83d')))
  assert.deepEqual([status, json['error'].param], [400, 'messages[0].content'])
  assert.equal((await post(Buffer.from(text.toString().replace('hi', '\\ud83d\\ude42')))).status, 200)
})

test('a body that is not what its encoding says, or ends too soon, is refused', async () => {
  for (const [encoding, body] of [['gzip', text], ['gzip', gzipSync(text).subarray(0, 30)],
    ['deflate', deflateRawSync(text)], ['deflate', gzipSync(text)]] as const) {
    const { status, json } = await post(body, { 'content-encoding': encoding })
    assert.deepEqual([status, json['error'].code], [400, 'invalid_request'])
    assert.match(json['error'].message, new RegExp(`^The body is not ${encoding}, as content-encoding says`))
  }
})

test('a body that becomes larger than the limit is refused', async () => {
  const bomb = gzipSync(Buffer.alloc(128 << 20, ' '))
  assert.ok(bomb.length < limit)
  const before = process.memoryUsage().rss
  const { status, json } = await post(bomb, { 'content-encoding': 'gzip' })
  assert.deepEqual([status, json['error'].code], [413, 'body_too_large'])
  assert.ok(process.memoryUsage().rss - before < 64 << 20)
  const fits = Buffer.from(JSON.stringify({ ...chat, user: ' '.repeat(limit - 1000) }))
  assert.equal((await post(gzipSync(fits), { 'content-encoding': 'gzip' })).status, 200)
})

test('text that is not UTF-8 is refused, over sockets too, where others of the socket go on', async () => {
  const latin1 = Buffer.from(JSON.stringify({ ...chat, messages: [{ role: 'user', content: 'señor' }] }), 'latin1')
  const { status, json } = await post(latin1)
  assert.deepEqual([status, json['error'].code], [400, 'invalid_request'])
  assert.match(json['error'].message, /must be UTF-8; the byte 0xF1 at offset \d+/)
  assert.equal((await post(gzipSync(latin1), { 'content-encoding': 'gzip' })).status, 400)
  for (const path of ['/v1/stream', '/v1/responses']) {
    const socket = new WebSocket(`${server.address.replace('http', 'ws')}${path}`)
    await once(socket, 'open')
    for (const binary of [true, false]) {
      socket.send(latin1, { binary })
      const event = JSON.parse(String((await once(socket, 'message'))[0]))
      assert.deepEqual([event.type, event.status, event.error.code], ['error', 400, 'invalid_request'])
      assert.match(event.error.message, /must be UTF-8/)
    }
    assert.equal(socket.readyState, WebSocket.OPEN)
    socket.terminate()
  }
})

test('escapes that are not UTF-8 are refused in paths and queries', async () => {
  for (const path of ['/v1/models/%', '/v1/models/se%F1or', '/v1/models/%zz', '/tokenizer_info?model=%F1',
    '/v1/models?a=%']) {
    const response = await fetch(`${server.address}${path}`)
    const { error } = await response.json() as { error: Record<string, unknown> }
    assert.deepEqual([response.status, error['code'], error['type'], response.headers.has('x-request-id')],
      [400, 'invalid_request', 'invalid_request_error', true], path)
    assert.match(String(error['message']), /percent-encoded UTF-8/)
  }
})

test('__proto__ is refused by name, over sockets as in bodies', async () => {
  const bad = '{"model":"tiny","id":"a","messages":[{"role":"user","content":"hi","__proto__":{}}]}'
  const { status, json } = await post(Buffer.from(bad))
  assert.deepEqual([status, json['error'].code, json['error'].param], [400, 'invalid_request', 'messages[0].__proto__'])
  assert.match(json['error'].message, /prototype/)
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/responses`)
  await once(socket, 'open')
  socket.send(bad)
  assert.equal(JSON.parse(String((await once(socket, 'message'))[0])).error.param, 'messages[0].__proto__')
  socket.terminate()
})

test('a body that is too large is refused, which clients can read that write all of it first', async () => {
  for (const [size, times] of [[limit + 1, 2], [5 * limit, 5], [20 * limit, 5]] as const) {
    for (let count = 0; count < times; count++) {
      const { status, json } = await post(Buffer.alloc(size, ' '))
      assert.deepEqual([status, json['error'].code, json['error'].message],
        [413, 'body_too_large', `The body may have ${limit} bytes (body-limit-bytes); it has ${size}`])
    }
  }
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  const client = new RawClient(server.address)
  for (const body of [
    [`Content-Length: ${5 * limit}\r\n\r\n`, Buffer.alloc(5 * limit)],
    [`Transfer-Encoding: chunked\r\n\r\n${(5 * limit).toString(16)}\r\n`, Buffer.alloc(5 * limit), '\r\n0\r\n\r\n'],
    ['Content-Length: 2\r\n\r\n{]']
  ]) {
    const { status } = await client.write(head, ...body).answer()
    assert.equal(status, body.length === 1 ? 400 : 413)
  }
  // One that is to be closed, too, as Python's urllib wishes.
  for (const size of [5 * limit, 20 * limit]) {
    const closing = new RawClient(server.address)
      .write(`${head}Connection: close\r\nContent-Length: ${size}\r\n\r\n`, Buffer.alloc(size))
    assert.equal((await closing.answer()).status, 413)
    assert.equal(await closing.closed(), '')
    assert.equal(closing.socket.bytesWritten > size, true)
  }
  // The connection is as good as before; what never ends is not read for ever.
  client.write(`${head}Content-Length: ${1 << 30}\r\n\r\n`)
  assert.equal((await client.answer()).status, 413)
  await client.closed()
})

test('a body in very many chunks is refused, compressed or not', { timeout: 60_000 }, async () => {
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' +
    'Transfer-Encoding: chunked\r\n'
  const chunks = (bytes: Buffer): Buffer => Buffer.concat([...[...bytes].map(byte =>
    Buffer.concat([Buffer.from('1\r\n'), Buffer.of(byte), Buffer.from('\r\n')])), Buffer.from('0\r\n\r\n')])
  const padded = (length: number): Buffer => Buffer.concat([text, Buffer.alloc(length - text.length, ' ')])
  for (const more of ['', 'Content-Encoding: gzip\r\n']) {
    const client = new RawClient(server.address).write(`${head}${more}\r\n`)
    client.write(chunks(more === '' ? padded(4096) : gzipSync(padded(4096))))
    assert.equal((await client.answer()).status, 200)
    const long = randomBytes(100_000)
    client.write(`${head}${more}\r\n`, chunks(more === '' ? long : gzipSync(long)))
    const { status, body } = await client.answer()
    assert.deepEqual([status, JSON.parse(body).error.code], [413, 'body_too_large'])
    client.socket.destroy()
  }
  // Where nobody reads the body, too, the connection is closed: no further request of it would be read.
  const unread = new RawClient(server.address)
    .write(`${head.replace('POST /v1/chat/completions', 'GET /health')}\r\n`, chunks(Buffer.alloc(5000)))
  assert.match(await unread.closed(), /^HTTP\/1\.1 200 /)
})

test('a body of a method that has none breaks nothing, however it ends', { timeout: 60_000 }, async () => {
  const head = 'GET /health HTTP/1.1\r\nHost: localhost\r\n'
  const lost = new RawClient(server.address).write(`${head}Transfer-Encoding: chunked\r\n\r\n`, '5\r\nab')
  assert.equal((await lost.answer()).status, 200)
  lost.socket.resetAndDestroy()
  const encoded = new RawClient(server.address).write(`${head}Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n`, 'hello')
  assert.equal((await encoded.answer()).status, 200)
  encoded.socket.destroy()
  assert.equal((await fetch(`${server.address}/health`)).status, 200)
})

test('a body of very many small parts is refused before it is parsed', async () => {
  const { status, json } = await post(Buffer.from(`{"messages":[${Array(300_000).fill('{}').join(',')}]}`))
  assert.equal(status, 400)
  assert.match(json['error'].message, /may hold 32768 objects, lists and strings/)
  const numbers = await post(Buffer.from(`{"prompt":[${Array(200_000).fill(1).join(',')}]}`))
  assert.equal(numbers.status, 400)
  assert.match(numbers.json['error'].message, /may hold 131072 commas/)
})
