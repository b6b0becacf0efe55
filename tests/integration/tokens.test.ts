/** /tokenize, /detokenize and /v1/embeddings on a tiny model. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sameBits } from '../helpers/same-bits.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
before(async () => { server = await tinyServer() })
after(() => server.close())

test('text goes to tokens and back, whatever it holds', async () => {
  for (const prompt of ['the an in', 'naïve 漢字 🙂\n', '<|im_start|>user\nhi<|im_end|>', '']) {
    const { json } = await server.post('/tokenize', { model: 'tiny', prompt, return_token_strs: true })
    assert.equal(json['count'], json['tokens'].length)
    assert.equal(json['token_strs'].length, json['count'])
    assert.equal(json['max_model_len'], 512)
    assert.equal((await server.post('/detokenize', { tokens: json['tokens'] })).json['prompt'], prompt)
  }
})

test('messages go to the tokens that a chat counts', async () => {
  const messages = [{ role: 'system', content: 'the' }, { role: 'user', content: 'hi <|im_end|>' }]
  const { json } = await server.post('/tokenize', { messages })
  const chat =
    await server.post('/v1/chat/completions', { model: 'tiny', messages, max_tokens: 1, return_token_ids: true })
  assert.equal(json['token_strs'], undefined)
  assert.deepEqual(json['tokens'], chat.json['prompt_token_ids'])
  assert.equal(json['count'], chat.json['usage'].prompt_tokens)
})

test('the chat template is told, with the texts of the tokens it writes', async () => {
  const info = await (await fetch(`${server.address}/tokenizer_info`)).json() as Record<string, any>
  assert.match(info['chat_template'], /im_start/)
  assert.deepEqual([info['bos_token'], info['eos_token'], info['pad_token'], info['model_max_length']],
    ['<|im_start|>', '<|im_end|>', null, 512])
})

const dot = (a: number[], b: number[]): number => a.reduce((sum, value, index) => sum + value * b[index]!, 0)
const embed = async (body: object): Promise<Record<string, any>> => {
  const { status, json } = await server.post('/v1/embeddings', { model: 'tiny', ...body })
  assert.equal(status, 200, JSON.stringify(json))
  return json
}

test('embeddings have length one, one per input, in order, the same alone, among others and from ' +
  'token ids', async () => {
  const inputs = Array.from({ length: 20 }, (_, index) => 'the an in '.repeat(index + 1))
  const { data, usage } = await embed({ input: inputs })
  assert.deepEqual(data.map((one: { index: number }) => one.index), inputs.map((_, index) => index))
  for (const { embedding } of data) {
    assert.equal(embedding.length, 64)
    assert.ok(Math.abs(dot(embedding, embedding) - 1) < 1e-5)
  }
  sameBits((await embed({ input: inputs[7] })).data[0].embedding, data[7].embedding)
  const { json: { tokens } } = await server.post('/tokenize', { prompt: inputs[7] })
  sameBits((await embed({ input: tokens })).data[0].embedding, data[7].embedding)
  assert.equal(usage.prompt_tokens, usage.total_tokens)
  assert.ok(dot(data[18].embedding, data[19].embedding) > dot(data[0].embedding, data[19].embedding), 'likeness shows')
})

test('2,048 inputs are embedded in order, and no more', async () => {
  const input = Array.from({ length: 2048 }, (_, index) => [index % 264, (index >> 4) % 264])
  const { data } = await embed({ input, encoding_format: 'base64' })
  assert.equal(data.length, 2048)
  assert.ok(data.every((one: { index: number }, index: number) => one.index === index))
  for (const index of [0, 129, 2047]) {
    const { data: [alone] } = await embed({ input: input[index], encoding_format: 'base64' })
    assert.equal(alone.embedding, data[index].embedding)
  }
  const { status, json } = await server.post('/v1/embeddings', { model: 'tiny', input: [...input, [1]] })
  assert.deepEqual([status, json['error'].param, json['error'].code], [400, 'input', 'invalid_request'])
})

test('fields of a query that no route reads are named, as those of a body are', async () => {
  const body = { model: 'tiny', input: 'a', input_type: 'query' }
  const { headers } = await server.post('/v1/embeddings?api-version=1', body)
  assert.equal(headers.get('x-fairlead-ignored'), 'api-version, input_type')
  const response = await fetch(`${server.address}/v1/models?limit=2`)
  assert.deepEqual([response.status, response.headers.get('x-fairlead-ignored')], [200, 'limit'])
})

test('base64 holds the same floats', async () => {
  const [plain, packed] = [await embed({ input: 'the' }), await embed({ input: 'the', encoding_format: 'base64' })]
  const bytes = Buffer.from(packed['data'][0].embedding, 'base64')
  sameBits([...new Float32Array(bytes.buffer, bytes.byteOffset, 64)], plain['data'][0].embedding)
})

/** [path, body, status, param, what the message says] */
const refused: ReadonlyArray<readonly [string, object, number, string, RegExp]> = [
  ['/tokenize', {}, 400, 'prompt', /or messages must be given, and not both/],
  ['/tokenize', { prompt: 'a', messages: [{ role: 'user', content: 'a' }] }, 400, 'prompt', /and not both/],
  ['/tokenize', { prompt: 5 }, 400, 'prompt', /must be a string; got 5/],
  ['/tokenize', { prompt: 'a', tools: [{ type: 'function', function: { name: 'f' } }] }, 400, 'tools',
    /needs messages/],
  ['/tokenize', { model: 'other', prompt: 'a' }, 404, 'model', /"other" does not exist/],
  ['/detokenize', { tokens: [264] }, 400, 'tokens', /from 0 to 263; got 264/],
  ['/detokenize', { tokens: 'a' }, 400, 'tokens', /must be a list, each an integer from 0 up; got "a"/],
  ['/detokenize', {}, 400, 'tokens', /got nothing/],
  ['/v1/embeddings', { input: 'a' }, 400, 'model', /got nothing/],
  ['/v1/embeddings', { model: 'other', input: 'a' }, 404, 'model', /"other" does not exist/],
  ['/v1/embeddings', { model: 'tiny', input: '' }, 400, 'input', /got ""/],
  ['/v1/embeddings', { model: 'tiny', input: [[1], [264]] }, 400, 'input[1]', /from 0 to 263; got 264/],
  ['/v1/embeddings', { model: 'tiny', input: ['a', 'a'.repeat(600)] }, 400, 'input[1]',
    /context length is 512 tokens; input\[1\] has 600/],
  ['/v1/embeddings', { model: 'tiny', input: 'a', encoding_format: 'int8' }, 400, 'encoding_format',
    /one of float, base64; got "int8"/],
  ['/v1/embeddings', { model: 'tiny', input: 'a', dimensions: 32 }, 400, 'dimensions', /is not supported/]
]

for (const [path, body, status, param, message] of refused) {
  test(`${path} refuses ${JSON.stringify(body).slice(0, 80)}`, async () => {
    const { status: given, json } = await server.post(path, body)
    assert.equal(given, status)
    assert.equal(json['error'].param, param)
    assert.match(json['error'].message, message)
  })
}

const engineOf = async ({ address }: TinyServer): Promise<Record<string, number>> =>
  (await (await fetch(`${address}/ready`)).json() as { engine: Record<string, number> }).engine

async function until (holds: () => Promise<boolean>): Promise<void> {
  while (!await holds()) await new Promise(resolve => { setTimeout(resolve, 1) })
}

/** A chat that takes nearly all the KV of a server with 1 MiB of it, until it is let go. */
async function holdKv (server: TinyServer): Promise<() => Promise<void>> {
  const leaving = new AbortController()
  const body = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], n: 4, max_tokens: 480, ignore_eos: true }
  const answer = fetch(`${server.address}/v1/chat/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, signal: leaving.signal, body: JSON.stringify(body)
  }).catch(() => {})
  await until(async () => (await engineOf(server))['runningRequests'] === 1)
  return async () => {
    leaving.abort()
    await answer
  }
}

const many = Array.from({ length: 32 }, (_, index) => 'an in '.repeat(40 + index))

test('embeddings that are refused, for the queue holds no more, leave it and read nothing', async () => {
  const small = await tinyServer({ kvCacheBytes: String(2 ** 20), maxQueuedRequests: '0' })
  try {
    const letGo = await holdKv(small)
    const { status, json } = await small.post('/v1/embeddings', { model: 'tiny', input: many })
    assert.equal(status, 429, JSON.stringify(json))
    const { waitingRequests, runningRequests } = await engineOf(small)
    assert.deepEqual([waitingRequests, runningRequests], [0, 1])
    await letGo()
    await until(async () => (await engineOf(small))['runningRequests'] === 0)
  } finally {
    await small.close()
  }
})

test('embeddings of many inputs wait in one place of the queue', async () => {
  const small = await tinyServer({ kvCacheBytes: String(2 ** 20), maxQueuedRequests: '1' })
  try {
    const letGo = await holdKv(small)
    const asked = small.post('/v1/embeddings', { model: 'tiny', input: many })
    await until(async () => (await engineOf(small))['waitingRequests'] === 1)
    await letGo()
    const { status, json } = await asked
    assert.deepEqual([status, json['data']?.length], [200, many.length], JSON.stringify(json).slice(0, 200))
  } finally {
    await small.close()
  }
})
