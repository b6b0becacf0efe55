/** What a caller may do to others: its limits, its priority, ids, what it does not read, who is an admin. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { RawClient } from '../helpers/raw-client.js'
import { startTinyServers } from '../helpers/tiny-server.js'

const start = startTinyServers()

const chat = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 4 }
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })

/** Keys of these names, each with limits; the key is the name, repeated. */
const keyOf = (name: string): string => `key-of-${name}-key-of-${name}`
const keysFile = (keys: Record<string, object>): string => JSON.stringify(Object.entries(keys).map(([name, limits]) =>
  ({ name, sha256: createHash('sha256').update(keyOf(name)).digest('hex'), ...limits })))

test('every endpoint counts against the key’s requests', async () => {
  const routes = [['POST', '/tokenize', { prompt: 'a' }], ['POST', '/detokenize', { tokens: [5] }],
    ['GET', '/tokenizer_info'], ['GET', '/v1/models'], ['GET', '/v1/models/tiny'], ['GET', '/v1/rewards'],
    ['GET', '/v1/rewards/length'], ['HEAD', '/v1/models'], ['POST', '/v1/chat/completions', chat],
    ['POST', '/v1/chat/completions', {}], ['POST', '/v1/completions', { model: 'tiny', prompt: 'a', max_tokens: 1 }],
    ['POST', '/v1/embeddings', { model: 'tiny', input: 'a' }], ['POST', '/v1/responses', { model: 'tiny', input: 'a' }],
    ['GET', '/v1/responses/none'], ['POST', '/v1/responses/none/cancel'], ['DELETE', '/v1/responses/none'],
    ['GET', '/v1/chat/completions/none'], ['GET', '/metrics'], ['GET', '/v1/feedback'],
    ['POST', '/v1/rewards/score', { model: 'tiny', reward: 'length', input: [{ prompt: 'a', response: 'b' }] }],
    ['POST', '/v1/rerank', { model: 'length', query: 'a', documents: ['b'] }], ['GET', '/v1/stream']] as const
  const names = routes.map((_, index) => `k${index}`)
  const server = await start({ apiKeysFile: 'FOLDER/each.json' },
    { 'each.json': keysFile(Object.fromEntries(names.map(name => [name, { requests_per_minute: 2 }]))) })
  await Promise.all(routes.map(async ([method, path, body], index) => {
    const statuses: number[] = []
    for (let count = 0; count < 3; count++) {
      const { status, headers } = await fetch(`${server.address}${path}`, {
        method,
        headers: { ...bearer(keyOf(names[index]!)), ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {})
      })
      statuses.push(status)
      assert.equal(headers.get('x-ratelimit-limit-requests'), '2', path)
    }
    assert.deepEqual(statuses.map(status => status === 429), [false, false, true], `${method} ${path}: ${statuses}`)
  }))
  assert.equal((await fetch(`${server.address}/health`)).status, 200)
})

test('messages of a socket count as requests', async () => {
  const server = await start({ apiKeysFile: 'FOLDER/socket.json' },
    { 'socket.json': keysFile({ me: { requests_per_minute: 3 } }) })
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/stream`, { headers: bearer(keyOf('me')) })
  const messages: Array<Record<string, any>> = []
  socket.on('message', data => { messages.push(JSON.parse(String(data))) })
  await once(socket, 'open')
  for (const id of ['a', 'b', 'c']) socket.send(JSON.stringify({ type: 'create', id, request: chat }))
  const refused = (): unknown => messages.find(({ status }) => status === 429)?.['id']
  while (refused() === undefined) await once(socket, 'message')
  assert.equal(refused(), 'c')
  socket.terminate()
})

test('who tokenises is bounded as others are, and needs no tokens left', async () => {
  const server = await start({ apiKeysFile: 'FOLDER/tokens.json' },
    { 'tokens.json': keysFile({ me: { tokens_per_minute: 1 } }) })
  const key = bearer(keyOf('me'))
  assert.equal((await server.post('/v1/chat/completions', { ...chat, ignore_eos: true }, key)).status, 200)
  assert.equal((await server.post('/v1/chat/completions', chat, key)).status, 429)
  assert.equal((await server.post('/tokenize', { prompt: 'a' }, key)).status, 200)
})

test('a priority before others’ needs the role admin, over every way', async () => {
  const server = await start({ apiKeys: keyOf('user'), adminKeys: keyOf('admin') })
  const [user, admin] = [bearer(keyOf('user')), bearer(keyOf('admin'))]
  const asks = [['/v1/chat/completions', chat],
    ['/v1/completions', { model: 'tiny', prompt: ['a', 'b'], max_tokens: 1 }],
    ['/v1/responses', { model: 'tiny', input: 'a', max_output_tokens: 1 }]] as const
  for (const [path, body] of asks) {
    for (const more of [{}, { stream: true }]) {
      const { status, json } = await server.post(path, { ...body, ...more, priority: -1 }, user)
      assert.deepEqual([status, json['error'].code, json['error'].param], [403, 'permission_denied', 'priority'], path)
    }
    assert.equal((await server.post(path, { ...body, priority: 5 }, user)).status, 200)
    assert.equal((await server.post(path, { ...body, priority: -1000 }, admin)).status, 200)
  }
  for (const [path, message] of [['/v1/stream', { type: 'create', id: 'a', request: { ...chat, priority: -1 } }],
    ['/v1/responses', { type: 'response.create', model: 'tiny', input: 'a', priority: -1 }]] as const) {
    const socket = new WebSocket(`${server.address.replace('http', 'ws')}${path}`, { headers: user })
    await once(socket, 'open')
    socket.send(JSON.stringify(message))
    assert.equal(JSON.parse(String((await once(socket, 'message'))[0])).error.param, 'priority')
    socket.terminate()
  }
})

test('an id on a socket has 128 characters at most', async () => {
  const server = await start({})
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/stream`)
  await once(socket, 'open')
  for (const id of ['x'.repeat(129), 'x'.repeat(500_000), '', 5]) {
    socket.send(JSON.stringify({ type: 'create', id, request: chat }))
    const [data] = await once(socket, 'message')
    assert.ok(String(data).length < 1000)
    const { error, ...event } = JSON.parse(String(data))
    assert.deepEqual([event.id, error.code, error.param], [null, 'invalid_request', 'id'])
  }
  socket.send(JSON.stringify({ type: 'create', id: 'x'.repeat(128), request: chat }))
  assert.equal(JSON.parse(String((await once(socket, 'message'))[0])).type, 'created')
  socket.terminate()
})

test('names of fields are told in part where they are long', async () => {
  const server = await start({})
  const name = 'x'.repeat(1_000_000)
  for (const [path, body] of [['/tokenize', { prompt: 'a', [name]: 1 }], ['/v1/feedback', { [name]: 1 }],
    ['/v1/chat/completions', { ...chat, alignment: { [name]: 1 } }]] as const) {
    const { status, json } = await server.post(path, body)
    if (status !== 200) assert.ok(JSON.stringify(json).length < 4000, path)
  }
})

test('bodies that are on their way are bounded in bytes, per caller and in all', async () => {
  const server = await start({
    maxPendingRequestBytes: String(8 << 20), apiKeys: ['one', 'two', 'three', 'four', 'five'].map(keyOf).join()
  })
  const begun = (name: string): RawClient => new RawClient(server.address).write('POST /tokenize HTTP/1.1\r\n' +
    'Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n' +
    `Authorization: Bearer ${keyOf(name)}\r\n\r\n{`)
  /** What the one that is answered gets. */
  const refused = async (clients: readonly RawClient[]): Promise<unknown> => {
    const { status, body } = await Promise.any(clients.map(client => client.answer()))
    const { code, message } = JSON.parse(body).error
    return [status, code, /for one caller|in all/.exec(message)?.[0]]
  }
  const ones = ['one', 'one', 'one'].map(begun)
  assert.deepEqual(await refused(ones), [429, 'rate_limit_exceeded', 'for one caller'])
  const others = ['two', 'two', 'three', 'three', 'four', 'four', 'five'].map(begun)
  assert.deepEqual(await refused(others), [429, 'rate_limit_exceeded', 'in all'])
  for (const { socket } of [...ones, ...others]) socket.destroy()
  const answered = async (): Promise<boolean> =>
    (await server.post('/tokenize', { prompt: 'a' }, bearer(keyOf('three')))).status === 200
  while (!await answered());
})

test('without keys, bodies are bounded for each address', async () => {
  const server = await start({ maxPendingRequestBytes: String(8 << 20) })
  const clients = Array.from({ length: 3 }, () => new RawClient(server.address).write('POST /tokenize HTTP/1.1\r\n' +
    'Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n{'))
  const { status, body } = await Promise.any(clients.map(client => client.answer()))
  assert.equal(status, 429)
  assert.match(JSON.parse(body).error.message, /for one caller/)
  for (const { socket } of clients) socket.destroy()
})

test('probes are answered under any Host', async () => {
  const server = await start({ allowedHosts: 'fairlead.test' })
  for (const [path, status] of [['/health', 200], ['/ping', 200], ['/ready', 200], ['/metrics', 200],
    ['/v1/models', 403]] as const) {
    for (const host of ['10.0.0.7:8000', 'evil.test', '[fd00::7]:8000']) {
      const sent = request(`${server.address}${path}`, { headers: { host } }).end()
      const [response] = await once(sent, 'response')
      response.resume()
      assert.equal(response.statusCode, status, `${path} ${host}`)
    }
  }
})

test('a server that other machines reach, without keys, says so at its start and has no admin', async () => {
  const server = await start({ host: '0.0.0.0' })
  assert.ok(server.said.some(line => /warning: .* there are no API keys .* role admin is refused/.test(line)))
  const { status, json } = await server.post('/v1/rewards/fit', {})
  assert.deepEqual([status, json['error'].code], [403, 'permission_denied'])
  assert.match(json['error'].message, /needs an API key with the role admin; .* \(admin-keys, api-keys-file\)/)
  assert.equal((await server.post('/v1/chat/completions', chat)).status, 200)
})

test('answers that are not read are ended', async () => {
  const server = await start({ slowReaderTimeoutMs: '200' })
  const client = new RawClient(server.address)
  client.socket.pause()
  // More than the buffers between hold.
  client.write('GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(100))
  const ended = 'http_requests_total{handler="/openapi.json",method="GET",status="499"} 1'
  while (!(await (await fetch(`${server.address}/metrics`)).text()).includes(ended));
  client.socket.destroy()
})

test('a socket that answers pings without reading is closed', async () => {
  const server = await start({ webSocketPingMs: '100' })
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/stream`, { autoPong: false })
  await once(socket, 'open')
  const pongs = setInterval(() => { socket.pong() }, 10)
  await once(socket, 'close')
  clearInterval(pongs)
})
