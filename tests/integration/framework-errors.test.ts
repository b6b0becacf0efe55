/** What Node and Fastify answer by themselves is in OpenAI's form; HEAD is wherever GET is; requests end in time. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { maxPipelined } from '../../src/api/transport/pipelining.js'
import { RawClient, type RawAnswer } from '../helpers/raw-client.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
before(async () => { server = await tinyServer({ requestTimeoutMs: '300' }) })
after(async () => { await server.close() })

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`

/** Checks that an answer is an error as OpenAI has them. */
function isError ({ status, headers, body }: RawAnswer, expected: readonly [number, string], what: string): void {
  const { error } = JSON.parse(body) as { error: Record<string, unknown> }
  assert.deepEqual([status, error['code']], expected, what)
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type'])
  assert.match(headers['x-request-id'] ?? '', /^req_[\da-f-]{36}$/)
  assert.match(headers['content-type'] ?? '', /^application\/json/)
  assert.equal(Number(headers['content-length']), Buffer.byteLength(body))
}

test('what is no request, or none that is served, is answered in OpenAI’s form', async () => {
  const post = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  for (const [request, status, code] of [
    [get('/v1/models/%'), 400, 'invalid_request'],
    [get(`/v1/models/${'x'.repeat(257)}`), 414, 'uri_too_long'],
    [get(`/v1/models/${'x'.repeat(256)}`), 404, 'model_not_found'],
    [get('/health', `X-Long: ${'x'.repeat(20_000)}\r\n`), 431, 'headers_too_large'],
    [get(`/health?${'x'.repeat(20_000)}`), 431, 'headers_too_large'],
    ['nonsense\r\n\r\n', 400, 'invalid_request'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'invalid_request'],
    ['BREW /pot HTTP/1.1\r\n\r\n', 400, 'invalid_request'],
    ['GET /health HTTP/1.1\r\n\r\n', 400, 'invalid_request'],
    ['GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n', 400, 'invalid_request'],
    ['CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n', 405, 'method_not_allowed'],
    ['PROPFIND /health HTTP/1.1\r\nHost: localhost\r\n\r\n', 405, 'method_not_allowed'],
    [`${post}Content-Length: x\r\n\r\n`, 400, 'invalid_request'],
    [`${post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`, 400, 'invalid_request'],
    [`${post}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n`, 400, 'invalid_request'],
    [`${post.replace('application/json', 'text/plain')}Content-Length: 2\r\n\r\n{}`, 415, 'unsupported_media_type'],
    [`${post}Content-Length: 99999999\r\n\r\n`, 413, 'body_too_large']
  ] as const) {
    const client = new RawClient(server.address).write(request)
    isError(await client.answer(), [status, code], request.slice(0, 80))
    client.socket.destroy()
  }
  const expecting = new RawClient(server.address).write(get('/health', 'Expect: tea\r\n'))
  assert.equal((await expecting.answer()).status, 200)
  expecting.socket.destroy()
})

test('a request that is not sent to its end is ended, and its client told why', async () => {
  const post = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  for (const begun of ['GET /hea', `${post}Content-Length: 1000\r\n\r\n{"model"`,
    `${post}Transfer-Encoding: chunked\r\n\r\n8\r\n{"model"\r\n`,
    `${post}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1000\r\n\r\n{`]) {
    const client = new RawClient(server.address).write(begun)
    isError(await client.answer(), [408, 'request_timeout'], begun)
    await client.closed()
  }
  // One that has been sent may take longer to answer.
  const { status } = await server.post('/v1/completions',
    { model: 'tiny', prompt: 'a', max_tokens: 400, ignore_eos: true, n: 16 })
  assert.equal(status, 200)
})

test('HEAD is answered wherever GET is: the same status and headers, no body', async () => {
  const client = new RawClient(server.address)
  for (const path of ['/health', '/ping', '/ready', '/version', '/metrics', '/v1/models', '/v1/models/tiny',
    '/v1/rewards', '/v1/rewards/length', '/v1/feedback', '/tokenizer_info', '/openapi.json', '/docs/', '/nowhere',
    '/v1/responses/none', '/v1/chat/completions/none', '/v1/stream', '/v1/responses', '/v1/models/%']) {
    client.write(get(path).replace('GET', 'HEAD'))
    const head = await client.answer(false)
    client.write(get(path))
    const whole = await client.answer()
    assert.deepEqual([head.status, head.headers['content-type']], [whole.status, whole.headers['content-type']], path)
    // What changes from one request to the next, or tells its method, has another length.
    if (!['/ready', '/metrics', '/nowhere', '/v1/stream', '/v1/responses'].includes(path)) {
      assert.equal(head.headers['content-length'], whole.headers['content-length'], path)
    }
  }
  client.write(get('/tokenize').replace('GET', 'HEAD'))
  assert.equal((await client.answer(false)).status, 405)
  client.socket.destroy()
})

test('HEAD of a stream has its headers', async () => {
  const created = await fetch(`${server.address}/v1/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', input: 'hi', background: true, stream: true, max_output_tokens: 400 })
  })
  const id = /"id":"(resp_[^"]+)"/.exec(await created.text())![1]!
  const { status, headers } = await fetch(`${server.address}/v1/responses/${id}?stream=true`, { method: 'HEAD' })
  assert.deepEqual([status, headers.get('content-type')], [200, 'text/event-stream; charset=utf-8'])
})

test('what is pipelined behind too many requests is not begun; all before are answered', async context => {
  const server = await tinyServer()
  context.after(() => server.close())
  const client = new RawClient(server.address).write(get('/health').repeat(maxPipelined + 3000))
  for (let count = 0; count < maxPipelined; count++) assert.equal((await client.answer()).status, 200)
  const refused = await client.answer()
  isError(refused, [429, 'rate_limit_exceeded'], 'one too many')
  assert.equal(refused.headers['connection'], 'close')
  assert.equal(await client.closed(), '')
  // A connection may have any number one after the other.
  const patient = new RawClient(server.address)
  for (let count = 0; count < maxPipelined + 8; count++) {
    assert.equal((await patient.write(get('/health')).answer()).status, 200)
  }
  patient.socket.destroy()
})
