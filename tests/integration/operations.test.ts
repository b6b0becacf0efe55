/** What operators rely on: keys, hosts, origins, metrics, the settings file, profiles, wrong methods, slow readers. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { json } from 'node:stream/consumers'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import type { ErrorBody } from '../../src/errors.js'
import { startTinyServers, type TinyServer } from '../helpers/tiny-server.js'

const start = startTinyServers()

const chat = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 4 }
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The status of a GET whose headers are as given, Host too. */
async function statusOf (
  server: TinyServer, path: string, headers: Record<string, string> = {}, method = 'GET'
): Promise<number> {
  const sent = request(`${server.address}${path}`, { headers, method }).end()
  const [response] = await once(sent, 'response')
  response.resume()
  return response.statusCode
}

/** How a WebSocket handshake ends: 101 or the status it was refused with. */
async function handshake (server: TinyServer, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/stream`, { headers })
  return await new Promise(resolve => {
    socket.on('open', () => { socket.close(); resolve(101) })
    socket.on('unexpected-response', (_, response) => { response.resume(); resolve(response.statusCode ?? 0) })
    socket.on('error', () => {})
  })
}

test('with keys, every route but the public ones asks for one, sockets too', async () => {
  const keys = `- {name: reader, sha256: ${sha256('key-of-the-reader')}, max_requests: 1}\n- {name: owner, sha256: ` +
    `${sha256('key-of-the-owner')}, role: admin}\n`
  const server =
    await start({ apiKeysFile: 'FOLDER/keys.yaml', apiKeys: 'key-from-the-environment' }, { 'keys.yaml': keys })
  for (const headers of [{}, bearer('nonsense'), { authorization: 'Basic abc' }, bearer('')]) {
    const { status, headers: answered, json } = await server.post('/v1/chat/completions', chat, headers)
    assert.deepEqual([status, json['error'].code, answered.get('www-authenticate')], [401, 'invalid_api_key', 'Bearer'])
    assert.equal(await handshake(server, headers), 401)
  }
  for (const path of ['/v1/models', '/metrics', '/v1/rewards']) assert.equal(await statusOf(server, path), 401, path)
  for (const path of ['/health', '/ready', '/ping', '/version', '/openapi.json', '/docs/']) {
    assert.equal(await statusOf(server, path), 200, path)
  }
  assert.equal(await statusOf(server, '/nowhere'), 404)
  for (const key of ['key-of-the-reader', 'key-of-the-owner', 'key-from-the-environment']) {
    assert.equal((await server.post('/v1/chat/completions', chat, bearer(key))).status, 200)
    assert.equal(await handshake(server, bearer(key)), 101)
  }
})

test('a key has its own cached prompts and its own limit of requests at a time', async () => {
  const keys = [{ name: 'one', sha256: sha256('key-number-one'), max_requests: 1 },
    { name: 'two', sha256: sha256('key-number-two') }]
  const server = await start({ apiKeysFile: 'FOLDER/keys.json' }, { 'keys.json': JSON.stringify(keys) })
  const cached = async (key: string): Promise<number> =>
    (await server.post('/v1/chat/completions', chat, bearer(key))).json['usage'].prompt_tokens_details.cached_tokens
  assert.equal(await cached('key-number-one'), 0)
  assert.ok(await cached('key-number-one') > 0)
  assert.equal(await cached('key-number-two'), 0)

  const long = { ...chat, max_tokens: 100, ignore_eos: true }
  const both =
    await Promise.all([long, long].map(body => server.post('/v1/chat/completions', body, bearer('key-number-one'))))
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 429])
  const refused = both.find(({ status }) => status === 429)!
  assert.match(refused.json['error'].message, /the API key one may run 1 requests at a time/)
  assert.ok(Number(refused.headers.get('retry-after-ms')) > 0)
  assert.equal((await server.post('/v1/chat/completions', chat, bearer('key-number-one'))).status, 200)
  const others =
    await Promise.all([long, long].map(body => server.post('/v1/chat/completions', body, bearer('key-number-two'))))
  assert.deepEqual(others.map(({ status }) => status), [200, 200])

  // A reader that leaves gives its place back.
  const left = new AbortController()
  await fetch(`${server.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer('key-number-one') },
    body: JSON.stringify({ ...long, stream: true }),
    signal: left.signal
  })
  left.abort()
  await new Promise(resolve => { setTimeout(resolve, 50) })
  assert.equal((await server.post('/v1/chat/completions', chat, bearer('key-number-one'))).status, 200)
})

test('a key has its own limits a minute, of requests and of generated tokens, told in OpenAI’s headers', async () => {
  const keys = [{ name: 'one', sha256: sha256('key-number-one'), tokens_per_minute: 60 },
    { name: 'two', sha256: sha256('key-number-two'), requests_per_minute: 2 }]
  const server = await start({ apiKeysFile: 'FOLDER/keys.json', requestsPerMinutePerKey: '100' },
    { 'keys.json': JSON.stringify(keys) })
  const ask = (key: string, body: object = {}): ReturnType<TinyServer['post']> =>
    server.post('/v1/chat/completions', { ...chat, ignore_eos: true, ...body }, bearer(key))
  // Discarded candidates count: 32 × 16 tokens are more than a minute has, and are known when they have been drawn.
  const first = await ask('key-number-one', { max_tokens: 16, alignment: { reward: 'length', num_candidates: 32 } })
  assert.equal(first.status, 200)
  assert.deepEqual(['limit-requests', 'remaining-requests', 'limit-tokens', 'remaining-tokens',
    'reset-tokens'].map(name => first.headers.get(`x-ratelimit-${name}`)), ['100', '99', '60', '60', '0ms'])
  for (const refused of [await ask('key-number-one'),
    await server.post('/v1/responses', { model: 'tiny', input: 'hi' }, bearer('key-number-one'))]) {
    assert.deepEqual([refused.status, refused.json['error'].code, refused.headers.get('x-ratelimit-remaining-tokens')],
      [429, 'rate_limit_exceeded', '0'])
    assert.match(refused.json['error'].message,
      /the API key one may have 60 generated tokens a minute; try again in \dm\d+s/)
    assert.ok(Number(refused.headers.get('retry-after-ms')) > 50_000)
    assert.match(refused.headers.get('x-ratelimit-reset-tokens') ?? '', /^\dm\d+s$/)
  }
  const socket =
    new WebSocket(`${server.address.replace('http', 'ws')}/v1/responses`, { headers: bearer('key-number-one') })
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'response.create', model: 'tiny', input: 'hi' }))
  const event = JSON.parse(String((await once(socket, 'message'))[0])) as Record<string, any>
  assert.deepEqual([event['status'], event['error'].code, event['retry_after_ms'] > 50_000],
    [429, 'rate_limit_exceeded', true])
  socket.close()

  assert.equal((await ask('key-number-two', { max_tokens: 0 })).status, 400)
  const streamed = await fetch(`${server.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer('key-number-two') },
    body: JSON.stringify({ ...chat, stream: true })
  })
  await streamed.text()
  assert.deepEqual([streamed.status, streamed.headers.get('x-ratelimit-remaining-requests'),
    streamed.headers.get('x-ratelimit-limit-tokens')], [200, '0', null])
  const third = await ask('key-number-two')
  assert.deepEqual([third.status, third.headers.get('x-ratelimit-remaining-requests')], [429, '0'])
  assert.match(third.json['error'].message, /may have 2 requests a minute/)
  // What the other has used up is not this one’s.
  assert.equal((await server.post('/tokenize', { prompt: 'free' }, bearer('key-number-one'))).status, 200)
})

test('a caller that leaves a search pays for what was drawn, though nothing was sent', async () => {
  const keys = [{ name: 'one', sha256: sha256('key-number-one'), tokens_per_minute: 60 }]
  const server = await start({ apiKeysFile: 'FOLDER/paying-keys.json', adminKeys: 'key-of-the-operator' },
    { 'paying-keys.json': JSON.stringify(keys) })
  const operator = bearer('key-of-the-operator')
  const drawn = async (): Promise<number> => {
    const text = await (await fetch(`${server.address}/metrics`, { headers: operator })).text()
    return Number(/^fairlead_generation_tokens_total\{outcome="abandoned",model_name="tiny"\} (\d+)/m.exec(text)?.[1] ??
      0)
  }
  const leave = new AbortController()
  const body = {
    ...chat, ignore_eos: true, max_tokens: 400, stream: true, alignment: { reward: 'length', num_candidates: 16 }
  }
  const left = fetch(`${server.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer('key-number-one') },
    body: JSON.stringify(body),
    signal: leave.signal
  }).then(answer => answer.text())
  const rows = async (): Promise<number> =>
    (await (await fetch(`${server.address}/ready`)).json() as { engine: { decodeRows: number } }).engine.decodeRows
  while (await rows() < 1000);
  leave.abort()
  await assert.rejects(left)
  while (await drawn() === 0);
  const abandoned = await drawn()
  assert.ok(abandoned >= 1000 && abandoned < 400 * 16, String(abandoned))
  // More than a quarter of an hour's worth.
  const { status, json } =
    await server.post('/v1/chat/completions', { ...chat, max_tokens: 1 }, bearer('key-number-one'))
  assert.deepEqual([status, json['error'].code], [429, 'rate_limit_exceeded'])
})

test('on loopback only its own names and allowed ones are answered to, and only its own pages ' +
  'open sockets', async () => {
  const server = await start({ allowedHosts: 'fairlead.test' })
  for (const host of ['localhost:1', '127.0.0.1', '[::1]:8000', 'fairlead.test']) {
    assert.equal(await statusOf(server, '/version', { host }), 200, host)
  }
  for (const host of ['evil.test', 'localhost.evil.test', '127.0.0.1.evil.test']) {
    assert.equal(await statusOf(server, '/version', { host }), 403, host)
  }
  const [refused] = await once(request(`${server.address}/version`, { headers: { host: 'evil.test' } }).end(), 'response')
  assert.equal((await json(refused) as { error: ErrorBody }).error.code, 'permission_denied')
  assert.equal(await handshake(server, { origin: 'https://evil.test' }), 403)
  assert.equal(await handshake(server, { origin: 'null' }), 403)
  assert.equal(await handshake(server, { origin: server.address }), 101)
})

test('pages of other origins are let in only where the settings say so', async () => {
  const preflight = {
    origin: 'https://app.test',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,x-stainless-lang'
  }
  const open = async (server: TinyServer, headers: Record<string, string>): Promise<Response> =>
    fetch(`${server.address}/v1/chat/completions`, { method: 'OPTIONS', headers })
  const shut = await start({})
  assert.equal((await open(shut, preflight)).headers.get('access-control-allow-origin'), null)
  const server = await start({ corsOrigins: 'https://app.test', apiKeys: 'a-key-of-some-length' })
  const allowed = await open(server, preflight)
  assert.equal(allowed.status, 204)
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.test')
  assert.match(allowed.headers.get('access-control-allow-headers') ?? '', /x-stainless-lang/)
  assert.equal(await statusOf(server, '/nowhere'), 404)
  assert.equal(
    (await open(server, { ...preflight, origin: 'https://evil.test' })).headers.get('access-control-allow-origin'), null
  )
  assert.equal(await handshake(server, { origin: 'https://app.test', ...bearer('a-key-of-some-length') }), 101)
})

const scrape = async (server: TinyServer): Promise<Map<string, number>> => {
  const text = await (await fetch(`${server.address}/metrics`)).text()
  return new Map(text.split('\n').filter(line => line !== '' && !line.startsWith('#')).map(line =>
    [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

test('metrics agree with the usage of what was served', async () => {
  const server = await start({})
  const guided = (await server.post('/v1/chat/completions',
    { ...chat, alignment: { reward: 'length', num_candidates: 3 } })).json['usage']
  const plain = (await server.post('/v1/completions',
    { model: 'tiny', prompt: ['the', 'an'], best_of: 2, max_tokens: 5, ignore_eos: true })).json['usage']
  await server.post('/v1/chat/completions', { ...chat, model: 'other' })
  await server.post('/v1/chat/completions', { ...chat, max_tokens: 5000 })
  const figures = await scrape(server)
  const of = (name: string, labels = ''): number | undefined =>
    figures.get(`fairlead_${name}{${labels}model_name="tiny"}`)
  assert.equal(of('prompt_tokens_total'), guided.prompt_tokens + plain.prompt_tokens)
  for (const outcome of ['returned', 'discarded']) {
    assert.equal(of('generation_tokens_total', `outcome="${outcome}",`),
      [guided, plain].reduce((sum, { alignment_details: details }) => sum + details[`${outcome}_tokens`], 0), outcome)
  }
  assert.equal(of('candidates_total', 'outcome="discarded",'), 2 + 2)
  assert.equal(of('candidates_total', 'outcome="returned",'), 1 + 2)
  assert.equal(of('request_failure_total', 'code="context_length_exceeded",'), 1)
  assert.equal(of('time_to_first_token_seconds_count'), 3)
  assert.equal(of('guidance_kl_nats_count'), 1)
  assert.equal(figures.get('fairlead_reward_latency_seconds_count{model_name="tiny",reward="length"}'), 3)
  assert.equal(figures.get('fairlead_reward_models'), 0)
  assert.equal(of('num_requests_running'), 0)
  assert.ok(of('engine_steps_total')! > 0)
  assert.equal(figures.get('http_requests_total{handler="/v1/chat/completions",method="POST",status="404"}'), 1)
})

test('with vLLM’s names, figures that it has carry them', async () => {
  const server = await start({ metricsNames: 'vllm' })
  await server.post('/v1/chat/completions', chat)
  const names = new Set([...(await scrape(server)).keys()].map(key => key.split('{')[0]))
  for (const name of ['num_requests_running', 'num_requests_waiting', 'kv_cache_usage_perc', 'prompt_tokens_total',
    'generation_tokens_total', 'request_success_total', 'prefix_cache_hits_total', 'prefix_cache_queries_total',
    'time_to_first_token_seconds_bucket', 'inter_token_latency_seconds_bucket', 'e2e_request_latency_seconds_bucket',
    'request_queue_time_seconds_sum', 'request_prefill_time_seconds_sum', 'request_decode_time_seconds_sum',
    'request_params_n_count']) {
    assert.ok(names.has(`vllm:${name}`), name)
  }
  assert.ok(names.has('fairlead_candidates_total'))
})

test('a settings file sets what flags do not, and its profiles are models', async () => {
  const file = `
max-tokens-per-request: 400
api-keys: [key-in-the-file-1]
profiles:
  short-2:
    description: the shorter of two
    alignment: {strategy: best_of_n, num_candidates: 2, rewards: [{name: length, weight: -1}]}
    overridable: [return_candidates]
`
  const server = await start({ config: 'FOLDER/settings.yaml', maxTokensPerRequest: '500' }, { 'settings.yaml': file })
  const key = bearer('key-in-the-file-1')
  const listed = await (await fetch(`${server.address}/v1/models`,
    { headers: key })).json() as { data: Array<{ id: string, parent?: string }> }
  assert.deepEqual(listed.data.map(({ id }) => id), ['tiny', 'tiny:short-2'])
  assert.equal(listed.data[1]!.parent, 'tiny')
  assert.equal((await fetch(`${server.address}/v1/models/tiny:short-2`, { headers: key })).status, 200)

  const ask = (body: object): ReturnType<TinyServer['post']> =>
    server.post('/v1/chat/completions', { ...chat, model: 'tiny:short-2', ...body }, key)
  const { json } = await ask({ alignment: { return_candidates: true } })
  assert.equal(json['model'], 'tiny:short-2')
  assert.equal(json['alignment'].resolved.num_candidates, 2)
  assert.equal(json['alignment'].candidates.length, 2)
  const locked = await ask({ alignment: { num_candidates: 3 } })
  assert.deepEqual([locked.status, locked.json['error'].code, locked.json['error'].param],
    [403, 'field_locked', 'alignment.num_candidates'])
  assert.match(locked.json['error'].message, /lets a request change return_candidates/)
  const missing = await ask({ model: 'tiny:nope' })
  assert.equal(missing.status, 404)
  assert.match(missing.json['error'].message, /there are the profiles short-2/)
  const plain = await ask({ model: 'tiny' })
  assert.equal(plain.json['alignment'], undefined)
  assert.match((await ask({ max_tokens: 300 })).json['error'].message, /may generate 500 tokens/)
})

test('a profile that cannot be used keeps the server from starting', async () => {
  await assert.rejects(start({ config: 'FOLDER/s.yaml' }, {
    's.yaml': 'profiles: {x: {alignment: {strategy: best_of_n, num_candidates: 0, reward: length}}}'
  }), /profile x: alignment.num_candidates must be an integer from 1 to 128; got 0/)
})

test('a wrong method is told which are right, on paths with parameters too', async () => {
  const server = await start({})
  for (const [path, method, allow] of [['/v1/models/tiny', 'POST', 'GET, HEAD'], ['/tokenize', 'GET', 'POST'],
    ['/ping', 'DELETE', 'GET, HEAD, POST'], ['/v1/chat/completions', 'PUT', 'POST']] as const) {
    const response = await fetch(`${server.address}${path}`, { method })
    assert.equal(response.status, 405, path)
    assert.equal(response.headers.get('allow'), allow)
  }
})

test('a path that is one route’s own is not another’s parameter, and a body that nothing reads is ' +
  'not judged', async () => {
  const server = await start({})
  assert.equal((await fetch(`${server.address}/v1/rewards/score`, { method: 'PUT' })).headers.get('allow'), 'POST')
  for (const [path, method, status] of [['/nowhere', 'POST', 404], ['/health', 'PUT', 405]] as const) {
    assert.equal((await fetch(`${server.address}${path}`,
      { method, headers: { 'content-type': 'application/json' }, body: '{' })).status, status, path)
  }
})

test('unknown fields are named in a header whatever they are called, and however many', async () => {
  const server = await start({})
  const { status, headers } = await server.post('/v1/chat/completions', { ...chat, 'my field': 1, 'a\u0015ü🙂': 2 })
  assert.deepEqual([status, headers.get('x-fairlead-ignored')], [200, 'my%20field, a%15%C3%BC%F0%9F%99%82'])
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`field_${index}_${'x'.repeat(100)}`, 1]))
  assert.match((await server.post('/v1/chat/completions', { ...chat, ...many })).headers.get('x-fairlead-ignored')!,
    /^field_0_x{56}, .{600,1000}, and 985 more$/)
})

test('the description asks for a key where the server does', async () => {
  const described = async (settings: Record<string, string>): Promise<unknown> =>
    (await (await fetch(`${(await start(settings)).address}/openapi.json`)).json() as { security?: unknown }).security
  assert.equal(await described({}), undefined)
  assert.deepEqual(await described({ apiKeys: 'a-key-of-some-length' }), [{ key: [] }])
})

test('answers carry the request’s id and the time they took, streams too', async () => {
  const server = await start({})
  for (const stream of [false, true]) {
    const response = await fetch(`${server.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'mine-1' },
      body: JSON.stringify({ ...chat, stream })
    })
    await response.text()
    assert.equal(response.headers.get('x-request-id'), 'mine-1')
    assert.match(response.headers.get('openai-processing-ms') ?? '', /^\d+$/)
  }
})

const sequences = async (server: TinyServer): Promise<number> =>
  (await (await fetch(`${server.address}/ready`)).json() as { engine: { sequences: number } }).engine.sequences

test('a reader that takes nothing is cut off, and what it held is free', async () => {
  const server = await start({ slowReaderTimeoutMs: '100' })
  // Logprobs make answers large: more than the buffers between.
  const body = JSON.stringify({
    ...chat, max_tokens: 400, n: 32, ignore_eos: true, stream: true, logprobs: true, top_logprobs: 20
  })
  const socket = connect(Number(new URL(server.address).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: ' +
    `application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  const deadline = Date.now() + 20000
  for (let seen = false; ; await new Promise(resolve => { setTimeout(resolve, 20) })) {
    const open = await sequences(server)
    seen ||= open > 0
    if (seen && open === 0) break
    assert.ok(Date.now() < deadline, 'the sequences were not freed')
  }
  socket.destroy()
})

test('a socket whose reader answers no ping is closed', async () => {
  const server = await start({ webSocketPingMs: '40' })
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/stream`, { autoPong: false })
  await once(socket, 'open')
  const [code] = await once(socket, 'close')
  assert.equal(code, 1006)
  const healthy = new WebSocket(`${server.address.replace('http', 'ws')}/v1/stream`)
  await once(healthy, 'open')
  await new Promise(resolve => { setTimeout(resolve, 200) })
  assert.equal(healthy.readyState, WebSocket.OPEN)
  healthy.close()
})
