/** /openapi.json: describes every route, and its schemas accept what the server accepts and fit what it answers. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
let document: Record<string, any>
before(async () => {
  server = await tinyServer()
  document = await (await fetch(`${server.address}/openapi.json`)).json() as Record<string, any>
})
after(() => server.close())

const ajv = new Ajv2020({ strict: false })
const bodyOf = (path: string): object => document['paths'][path].post.requestBody.content['application/json'].schema
const answerOf = (path: string, method = 'post'): object =>
  document['paths'][path][method].responses['200'].content['application/json'].schema
const check = (
  schema: object, value: unknown, what: string
): void => { assert.ok(ajv.validate(schema, value), `${what}: ${ajv.errorsText()}`) }

test('every route is in it', () => {
  assert.equal(document['openapi'], '3.1.0')
  for (const path of ['/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/responses/{id}/cancel',
    '/v1/embeddings', '/tokenize', '/detokenize', '/v1/rewards/score', '/v1/rewards/fit', '/v1/feedback', '/v1/score',
    '/v1/rerank']) assert.ok(document['paths'][path]?.post, path)
  for (const path of ['/v1/models', '/v1/models/{id}', '/v1/responses/{id}', '/v1/responses/{id}/input_items',
    '/v1/rewards', '/v1/rewards/{id}', '/health', '/ready', '/ping', '/version',
    '/metrics']) assert.ok(document['paths'][path]?.get, path)
})

const messages = [{ role: 'user', content: 'hi' }]

/** [path, body] */
const accepted: ReadonlyArray<readonly [string, object]> = [
  ['/v1/chat/completions', { model: 'tiny', messages, max_tokens: 4 }],
  ['/v1/chat/completions', {
    model: 'tiny', messages, max_tokens: 4, temperature: null, stop: null, logprobs: true, top_logprobs: 2, seed: 1
  }],
  ['/v1/chat/completions', {
    model: 'tiny', messages, max_tokens: 4, alignment: { reward: 'length', num_candidates: 2, return_candidates: true }
  }],
  ['/v1/chat/completions', {
    model: 'tiny',
    messages,
    max_tokens: 200,
    seed: 1,
    response_format: { type: 'json_schema', json_schema: { name: 'yes', schema: { type: 'boolean' } } }
  }],
  ['/v1/chat/completions', {
    model: 'tiny',
    messages: [...messages, {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }]
    }, { role: 'tool', tool_call_id: 'a', content: 'b' }],
    max_tokens: 4,
    tools: [{ type: 'function', function: { name: 'f' } }],
    tool_choice: 'none'
  }],
  ['/v1/responses', {
    model: 'tiny',
    input: 'a',
    max_output_tokens: 200,
    text: { format: { type: 'json_schema', name: 'yes', schema: { type: 'boolean' } } }
  }],
  ['/v1/completions', { model: 'tiny', prompt: ['a', 'b'], max_tokens: 4, echo: true, logprobs: 1 }],
  ['/v1/completions', { model: 'tiny', prompt: [[5, 6]], max_tokens: 4 }],
  ['/v1/responses',
    { model: 'tiny', input: 'a', max_output_tokens: 4, metadata: { a: 'b' }, include: null, truncation: null }],
  ['/v1/responses', {
    model: 'tiny',
    input: [{ role: 'user', content: [{ type: 'input_text', text: 'a' }] }],
    max_output_tokens: 4,
    background: true,
    text: { format: { type: 'text' } }
  }],
  ['/v1/responses', {
    model: 'tiny', input: 'a', max_output_tokens: 4, top_logprobs: 2, alignment: { reward: 'length', num_candidates: 2 }
  }],
  ['/v1/embeddings', { model: 'tiny', input: 'a' }],
  ['/v1/embeddings', { model: 'tiny', input: ['a'], encoding_format: 'base64' }],
  ['/tokenize', { prompt: 'a', return_token_strs: true }],
  ['/tokenize', { messages }],
  ['/detokenize', { tokens: [5] }],
  ['/v1/rewards/score', { reward: 'length', input: [{ prompt: 'a', answer: 'b' }] }],
  ['/v1/rewards/score', {
    rewards: [{ name: 'length' }],
    every: 2,
    input: [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: 'bcd' }] }]
  }],
  ['/v1/rewards/fit', {
    name: 'mine',
    layers: [1],
    examples: Array.from({ length: 20 },
      (_, i) => ({ prompt: `p ${i}`, chosen: `zz ${i}`, rejected: `aa ${i}`, note: 'not read' }))
  }],
  ['/v1/score', { model: 'length', text_1: 'a', text_2: ['b', 'cd'] }],
  ['/v1/rerank', { model: 'length', query: 'a', documents: ['b', { text: 'cd' }], top_n: null }]
]

test('what the server accepts fits its schema, and so does what it answers', async () => {
  for (const [path, body] of accepted) {
    const { status, json } = await server.post(path, body)
    assert.equal(status, 200, JSON.stringify(json))
    check(bodyOf(path), body, `body of ${path}`)
    check(answerOf(path), json, `answer of ${path}`)
  }
  const version = await (await fetch(`${server.address}/version`)).json()
  const { models: [running] } = version as {
    models: Array<{ format: string, operators: string[], system_fingerprint: string }>
  }
  assert.match(running!.system_fingerprint, /^fl_[0-9a-f]{12}$/)
  assert.ok(running!.operators.length > 0)
  for (const path of ['/v1/models', '/v1/rewards', '/health', '/ready', '/version', '/tokenizer_info']) {
    check(answerOf(path, 'get'), await (await fetch(`${server.address}${path}`)).json(), path)
  }
  const { json } = await server.post('/v1/responses', { model: 'tiny', input: 'a', max_output_tokens: 4 })
  check(answerOf('/v1/responses/{id}', 'get'),
    await (await fetch(`${server.address}/v1/responses/${json['id']}`)).json(), 'a kept response')
  check(answerOf('/v1/responses/{id}/input_items', 'get'),
    await (await fetch(`${server.address}/v1/responses/${json['id']}/input_items`)).json(), 'its input')
  const { json: chat } =
    await server.post('/v1/chat/completions', { model: 'tiny', messages, max_tokens: 4, ignore_eos: true, store: true })
  check(answerOf('/v1/chat/completions/{id}', 'get'),
    await (await fetch(`${server.address}/v1/chat/completions/${chat['id']}`)).json(), 'a stored chat')
  const said = { completion_id: chat['id'], chosen: 'a better answer', rejected: 0 }
  check(bodyOf('/v1/feedback'), said, 'body of feedback')
  check(answerOf('/v1/feedback'), (await server.post('/v1/feedback', said)).json, 'feedback')
  check(answerOf('/v1/feedback', 'get'), await (await fetch(`${server.address}/v1/feedback`)).json(),
    'a list of feedback')
  const pairs = Array.from({ length: 20 }, (_, i) => ({ prompt: `p ${i}`, chosen: `zz ${i}`, rejected: `aa ${i}` }))
  await server.post('/v1/rewards/fit', { name: 'broad', layers: [1], directions: 2, examples: pairs })
  for (const [route, body] of [['adapt', { name: 'own', examples: pairs.slice(0, 3) }],
    ['suggest', { candidates: [{ prompt: 'a', answers: ['b', 'c'] }], labelled: pairs.slice(0, 2) }]] as const) {
    check(bodyOf(`/v1/rewards/{id}/${route}`), body, `body of ${route}`)
    check(answerOf(`/v1/rewards/{id}/${route}`), (await server.post(`/v1/rewards/broad/${route}`, body)).json, route)
  }
  check(answerOf('/v1/rewards/{id}', 'get'), await (await fetch(`${server.address}/v1/rewards/length`)).json(),
    'a reward')
})

test('what breaks a schema is refused by the server, with an error that fits its own', async () => {
  for (const [path, body] of [
    ['/v1/chat/completions', { model: 'tiny' }],
    ['/v1/chat/completions', { model: 'tiny', messages, temperature: 3 }],
    ['/v1/chat/completions',
      { model: 'tiny', messages, alignment: { strategy: 'best_of_n', reward: 'length', num_beams: 2 } }],
    ['/v1/completions', { model: 'tiny', prompt: [] }],
    ['/v1/responses', { model: 'tiny', input: [{ type: 'reasoning' }] }],
    ['/v1/responses', { model: 'tiny', input: 'a', text: { format: { type: 'xml' } } }],
    ['/v1/chat/completions',
      { model: 'tiny', messages, response_format: { type: 'json_schema', json_schema: { schema: {} } } }],
    ['/v1/rewards/fit', { name: 'mine', examples: [{ prompt: 'p', chosen: 'a' }] }],
    ['/detokenize', {}]
  ] as const) {
    assert.equal(ajv.validate(bodyOf(path), body), false, JSON.stringify(body))
    const { status, json } = await server.post(path, body)
    assert.equal(status, 400)
    check(document['paths'][path].post.responses['4XX'].content['application/json'].schema, json, path)
  }
})

test('the page that shows it loads nothing from elsewhere', async () => {
  const page = await (await fetch(`${server.address}/docs/`)).text()
  assert.match(page, /swagger-ui/)
  assert.ok(!/(?:src|href)="https?:/.test(page))
})
