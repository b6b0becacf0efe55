/**
 * What took other servers down, as requests: published advisories and issues of vLLM, SGLang, TGI and llama.cpp. Each
 * is answered with an error that says why, or as what it is, and the server serves on.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, afterEach, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
before(async () => { server = await tinyServer({ bodyLimitBytes: '65536' }) })
after(() => server.close())

const messages = [{ role: 'user', content: 'hi' }]
const chat = { model: 'tiny', messages, max_tokens: 4 }
const legacy = { model: 'tiny', prompt: 'hi', max_tokens: 4 }

afterEach(async () => {
  const { status, json } = await server.post('/v1/chat/completions', chat)
  assert.equal(status, 200, JSON.stringify(json))
  const { engine } = await (await fetch(`${server.address}/ready`)).json() as { engine: Record<string, number> }
  assert.deepEqual([engine['sequences'], engine['runningRequests'], engine['waitingRequests']], [0, 0, 0])
})

const image = (
  url: string
): object => ({ ...chat, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] })
const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`

/** [what, path, body, status] */
const requests: ReadonlyArray<readonly [string, string, object, number]> = [
  ['CVE-2026-34756: n without bound', '/v1/chat/completions', { ...chat, n: 10 ** 9 }, 400],
  ['CVE-2026-34756: n without bound', '/v1/completions', { ...legacy, n: 10 ** 9 }, 400],
  ['CVE-2024-8939: best_of without bound', '/v1/completions', { ...legacy, best_of: 10 ** 9 }, 400],
  ['fan-out of a search without bound', '/v1/chat/completions', {
    ...chat,
    alignment: {
      strategy: 'beam_search', num_beams: 64, num_children: 64, reward: 'length', allow_scope_mismatch: true
    },
    max_tokens: 100
  }, 400],
  ['fan-out over prompts without bound', '/v1/completions',
    { ...legacy, prompt: Array.from({ length: 128 }, () => 'a'), n: 128, max_tokens: 100 }, 400],
  ['CVE-2024-8768: an empty prompt', '/v1/completions', { ...legacy, prompt: '' }, 400],
  ['CVE-2024-8768: an empty prompt', '/v1/completions', { ...legacy, prompt: [] }, 400],
  ['CVE-2024-8768: an empty prompt', '/v1/completions', { ...legacy, prompt: [[]] }, 400],
  ['CVE-2025-62426: chat_template_kwargs over the server’s own', '/v1/chat/completions',
    { ...chat, chat_template_kwargs: { tokenize: true } }, 400],
  ['CVE-2025-61620: a template of the caller', '/v1/chat/completions',
    { ...chat, chat_template: '{% for i in range(10**9) %}x{% endfor %}' }, 400],
  ['CVE-2026-5760: template syntax in a message is text', '/v1/chat/completions',
    { ...chat, messages: [{ role: 'user', content: '{{ messages.__class__ }}{% include "/etc/passwd" %}' }] }, 200],
  ['CVE-2025-6242, CVE-2026-33626: a URL to fetch', '/v1/chat/completions', image('http://127.0.0.1:1/x.png'), 400],
  ['CVE-2025-6242, CVE-2026-33626: a URL to fetch', '/v1/responses',
    { model: 'tiny', input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'file:///etc/passwd' }] }] },
    400],
  ['CVE-2026-0599: a markdown image is text', '/v1/chat/completions',
    { ...chat, messages: [{ role: 'user', content: '![x](http://127.0.0.1:1/x.png)' }] }, 200],
  ['CVE-2026-7304: code as a logits processor', '/v1/chat/completions',
    { ...chat, custom_logit_processor: '{"callable": "80049520"}' }, 400],
  ['vLLM 16529: logit_bias outside the vocabulary', '/v1/chat/completions', { ...chat, logit_bias: { 999999999: 1 } },
    400],
  ['gonka 1170: stop_token_ids outside the vocabulary, with min_tokens', '/v1/completions',
    { ...legacy, stop_token_ids: [999999999], min_tokens: 2 }, 400],
  ['vLLM 57986: allowed_token_ids', '/v1/completions', { ...legacy, allowed_token_ids: [-1, 10 ** 9] }, 400],
  ['token ids outside the vocabulary', '/v1/completions', { ...legacy, prompt: [10 ** 9] }, 400],
  ['token ids outside the vocabulary', '/detokenize', { tokens: [10 ** 9] }, 400],
  ['token ids outside the vocabulary', '/v1/embeddings', { model: 'tiny', input: [[-1]] }, 400],
  ['vLLM 6521: echo with max_tokens 0', '/v1/completions', { ...legacy, echo: true, max_tokens: 0 }, 200],
  ['CVE-2026-21869: negative numbers where there are none', '/v1/completions', { ...legacy, max_tokens: -1 }, 400],
  ['CVE-2026-21869: negative numbers where there are none', '/v1/completions', { ...legacy, min_tokens: -5 }, 400],
  ['CVE-2026-21869: negative numbers where there are some', '/v1/chat/completions', { ...chat, seed: -(2 ** 31) }, 200],
  ['CVE-2026-21869: numbers of more than 64 bits', '/v1/chat/completions', { ...chat, seed: -(2 ** 65) }, 400],
  ['CVE-2025-48942, -48943: a schema or pattern that cannot be compiled', '/v1/chat/completions',
    { ...chat, guided_regex: '(((((', guided_json: { type: 'nonsense' } }, 400],
  ['llama.cpp 25308: a schema that cannot be met fails closed', '/v1/chat/completions', {
    ...chat,
    response_format: {
      type: 'json_schema', json_schema: { name: 'x', strict: true, schema: { type: 'string', pattern: '(' } }
    }
  }, 400],
  ['CVE-2025-48944: a tool with a malformed pattern', '/v1/chat/completions', {
    ...chat,
    tools: [{
      type: 'function',
      function: {
        name: 'x', strict: true, parameters: { properties: { a: { type: 5, pattern: '[' } } }
      }
    }],
    tool_choice: 'required'
  }, 400],
  ['half a surrogate pair is no text', '/v1/chat/completions',
    { ...chat, messages: [{ role: 'user', content: '\ud800' }] }, 400],
  ['NUL in a text is text', '/v1/chat/completions', { ...chat, messages: [{ role: 'user', content: 'a\u0000b' }] },
    200],
  ['a number no double holds', '/v1/chat/completions', { ...chat, temperature: 1e308 * 10 }, 200]
]

for (const [what, path, body, expected] of requests) {
  test(`${what}: ${path} answers ${expected}`, async () => {
    const { status, json } = await server.post(path, body)
    assert.equal(status, expected, JSON.stringify(json).slice(0, 300))
    if (expected === 400) {
      assert.ok(['invalid_request', 'budget_exceeded'].includes(json['error'].code), JSON.stringify(json))
    }
  })
}

const raw = async (
  path: string, body: string, headers: Record<string, string> = {}
): Promise<{ status: number, text: string }> => {
  const response = await fetch(`${server.address}${path}`,
    { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
  return { status: response.status, text: await response.text() }
}

test('llama.cpp 26600: values nested without end are refused, wherever they are', async () => {
  for (const depth of [100, 5000, 15000]) {
    for (const body of [nested(depth), `{"model":"tiny","messages":${nested(depth)}}`,
      `{"model":"tiny","messages":[{"role":"user","content":${nested(depth)}}]}`,
      `{"model":"tiny","messages":[{"role":"user","content":"x"}],"alignment":{"strategy":${nested(depth)}}}`,
      `{"model":"tiny","messages":[{"role":"user","content":"x"}],"metadata":${nested(depth)},"some_field":` +
        `${nested(depth)},"temperature":3}`]) {
      const { status, text } = await raw('/v1/chat/completions', body)
      assert.equal(status, 400, `${depth} ${body.slice(0, 60)}: ${text.slice(0, 200)}`)
    }
    const { status } =
      await raw('/v1/responses', `{"model":"tiny","input":[{"role":"user","content":${nested(depth)}}]}`)
    assert.equal(status, 400)
  }
})

test('names of prototypes in a body do nothing', async () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const { status } = await raw('/v1/chat/completions',
      `{"model":"tiny","messages":[{"role":"user","content":"x"}],"max_tokens":2,"${name}":{"polluted":true}}`)
    assert.ok(status === 200 || status === 400, `${name}: ${status}`)
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
    const inside = await raw('/v1/chat/completions',
      `{"model":"tiny","messages":[{"role":"user","content":"x"}],"alignment":{"${name}":{}}}`)
    assert.equal(inside.status, 400, name)
  }
})

test('CVE-2025-48956: a header without end is refused', async () => {
  const { status } = await raw('/v1/chat/completions', JSON.stringify(chat),
    { 'x-long': 'x'.repeat(1 << 20) }).catch(() => ({ status: 431 }))
  assert.equal(status, 431)
})

test('a body without end is refused, over a socket with close code 1009', async () => {
  assert.equal((await raw('/v1/chat/completions', JSON.stringify({ ...chat, user: 'x'.repeat(1 << 20) }))).status, 413)
  for (const path of ['/v1/stream', '/v1/responses']) {
    const socket = new WebSocket(`${server.address.replace('http', 'ws')}${path}`)
    socket.on('error', () => {})
    await once(socket, 'open')
    socket.send('x'.repeat(1 << 20))
    assert.equal((await once(socket, 'close'))[0], 1009)
  }
})

test('a socket that sends without reading is cut off before its errors fill the memory', async () => {
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/responses`)
  socket.on('error', () => {})
  await once(socket, 'open')
  socket.pause()
  // Each is answered by an error that tells it in part.
  const bad = JSON.stringify({ type: 'x'.repeat(200), id: 'a' })
  const closed = once(socket, 'close')
  // More than the buffers between hold: 20 MB of errors.
  for (let sent = 0; sent < 50_000; sent++) {
    socket.send(bad)
    if (sent % 1000 === 0) await new Promise(resolve => { setImmediate(resolve) })
  }
  // The server reads them, a few at a time.
  while (socket.bufferedAmount > 0) await new Promise(resolve => { setTimeout(resolve, 10) })
  socket.resume()
  assert.equal((await closed)[0], 1008)
})
