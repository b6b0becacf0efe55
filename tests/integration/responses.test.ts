/**
 * /v1/responses through OpenAI's own client, on a tiny model: whole, streamed, continued, in the background, kept and
 * deleted.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import OpenAI from 'openai'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
let client: OpenAI
before(async () => {
  server = await tinyServer()
  client = new OpenAI({ baseURL: `${server.address}/v1`, apiKey: 'none', maxRetries: 0 })
})
after(() => server.close())

type Json = Record<string, any>
type Params = OpenAI.Responses.ResponseCreateParamsNonStreaming
type Response = OpenAI.Responses.Response & { alignment?: Json, store: boolean }
const base = { model: 'tiny', max_output_tokens: 8 }
const ask = async (body: object): Promise<Response> =>
  await client.responses.create({ ...base, seed: 1, ignore_eos: true, ...body } as Params) as Response
const chatText = async (messages: object[], body: object = {}): Promise<string> =>
  (await server.post('/v1/chat/completions',
    { model: 'tiny', messages, max_tokens: 8, seed: 1, ignore_eos: true, ...body })).json['choices'][0].message.content

/** The events of a stream. */
async function events (body: object): Promise<Json[]> {
  const found: Json[] = []
  for await (const event of await client.responses.create(
    { ...base, seed: 1, ignore_eos: true, stream: true, ...body } as never
  ) as unknown as AsyncIterable<Json>) found.push(event)
  return found
}

/** The client's error for a refused request. */
async function refusal (work: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await work.then(() => null, (reason: unknown) => reason)
  assert.ok(error instanceof OpenAI.APIError, String(error))
  return error
}

const user = (content: string): object => ({ role: 'user', content })

test('a response has OpenAI’s shape, and the text of the same chat', async () => {
  const response = await ask({ input: 'hi', metadata: { topic: 'greeting' }, user: 'me' })
  assert.match(response.id, /^resp_[\da-f]{32}$/)
  assert.deepEqual([response.object, response.status, response.incomplete_details, response.error],
    ['response', 'incomplete', { reason: 'max_output_tokens' }, null])
  assert.deepEqual([response.metadata, response.user, response.temperature, response.store, response.tools],
    [{ topic: 'greeting' }, 'me', 1, true, []])
  assert.equal(response.output_text, await chatText([user('hi')]))
  const [item] = response.output as Json[]
  assert.deepEqual([item!['type'], item!['role'], item!['status']], ['message', 'assistant', 'incomplete'])
  const { count } = (await server.post('/tokenize', { messages: [user('hi')] })).json
  assert.equal(response.usage!.input_tokens, count)
  assert.deepEqual([response.usage!.output_tokens, response.usage!.total_tokens], [8, count + 8])
  const ended = await ask({ input: 'hi', ignore_eos: false, logit_bias: { 2: 100 } })
  assert.deepEqual([ended.status, ended.incomplete_details, typeof ended.completed_at], ['completed', null, 'number'])
})

test('instructions, items and content parts are the messages of a chat', async () => {
  const parts = [{ type: 'input_text', text: 'one ' }, { type: 'input_text', text: 'two' }]
  const response = await ask({
    instructions: 'be brief',
    input: [{ type: 'message', role: 'user', content: parts }, {
      role: 'assistant', content: [{ type: 'output_text', text: 'yes', annotations: [] }]
    }, { role: 'developer', content: 'go on' }]
  })
  const messages = [{ role: 'system', content: 'be brief' }, user('one two'), { role: 'assistant', content: 'yes' },
    { role: 'system', content: 'go on' }]
  assert.equal(response.output_text, await chatText(messages))
  assert.equal(response.instructions, 'be brief')
})

test('previous_response_id goes on from what was read and answered; instructions are not carried over', async () => {
  const first = await ask({ input: 'hi', instructions: 'be brief' })
  const second = await ask({ input: 'more', previous_response_id: first.id })
  const messages = [user('hi'), { role: 'assistant', content: first.output_text }, user('more')]
  assert.equal(second.output_text, await chatText(messages))
  assert.equal(second.previous_response_id, first.id)
  const third = await ask({ input: 'and more', previous_response_id: second.id })
  assert.equal(third.output_text,
    await chatText([...messages, { role: 'assistant', content: second.output_text }, user('and more')]))
  // Sent back as the client has it, an answer means the same.
  const byHand = await ask({ input: [user('hi'), ...first.output, user('more')] })
  assert.equal(byHand.output_text, second.output_text)
})

test('a reference is read as the item that it names, of what was read and of what was written', async () => {
  const first = await ask({ input: [{ id: 'msg_asked', role: 'user', content: 'hi' }] })
  const [written] = first.output as Json[]
  const references = [{ type: 'item_reference', id: 'msg_asked' }, { type: null, id: written!['id'] }]
  const second = await ask({ input: [...references, user('an')] })
  assert.equal(second.output_text,
    await chatText([user('hi'), { role: 'assistant', content: first.output_text }, user('an')]))
  const { data } = await client.responses.inputItems.list(second.id, { order: 'asc' })
  assert.deepEqual(data.slice(0, 2).map(({ id }) => id), ['msg_asked', written!['id']])
  for (const [input, status, param] of [
    [[{ type: 'item_reference', id: 'msg_none' }], 404, 'input[0].id'],
    [[user('hi'), references[0], references[0]], 400, 'input[2].id'],
    [[{ type: 'item_reference' }], 400, 'input[0].id']
  ] as const) {
    const error = await refusal(ask({ input }))
    assert.deepEqual([error.status, error.param], [status, param], error.message)
  }
  const unstored = await ask({ input: 'hi', store: false })
  const hidden = { type: 'item_reference', id: (unstored.output as Json[])[0]!['id'] }
  assert.match((await refusal(ask({ input: [hidden] }))).message, new RegExp(hidden.id as string))
})

test('a stream is OpenAI’s typed events in order, numbered, with the text of the whole', async () => {
  const all = await events({ input: 'hi' })
  assert.deepEqual(all.map(event => event['sequence_number']), all.map((_, index) => index))
  const types = all.map(event => event['type'] as string)
  assert.deepEqual(types.filter((type, index) => type !== types[index - 1]), ['response.created',
    'response.in_progress', 'response.output_item.added', 'response.content_part.added', 'response.output_text.delta',
    'response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.incomplete'])
  const whole = await ask({ input: 'hi' })
  const text = all.filter(event => event['type'] === 'response.output_text.delta').map(event => event['delta']).join('')
  assert.equal(text, whole.output_text)
  assert.deepEqual(all.find(event => event['type'] === 'response.output_text.done')!['text'], text)
  const last = all.at(-1)!['response']
  assert.equal(last.usage.output_tokens, 8)
  assert.equal((await client.responses.retrieve(last.id)).output_text, text)
  const final =
    await client.responses.stream({ ...base, seed: 1, ignore_eos: true, input: 'hi' } as never).finalResponse()
  assert.equal(final.output_text, text)
})

test('each event of a stream carries its name', async () => {
  const body = JSON.stringify({ ...base, input: 'hi', stream: true })
  const text = await (await fetch(`${server.address}/v1/responses`,
    { method: 'POST', headers: { 'content-type': 'application/json' }, body })).text()
  assert.match(text, /^event: response\.created\ndata: \{"type":"response\.created"/)
  assert.ok(!text.includes('[DONE]'))
})

test('logprobs are included where they are asked for', async () => {
  assert.deepEqual(((await ask({ input: 'hi' })).output[0] as Json)['content'][0].logprobs, [])
  for (const body of [{ include: ['message.output_text.logprobs'], top_logprobs: 2 }, { top_logprobs: 2 }]) {
    const [part] = ((await ask({ input: 'hi', ...body })).output[0] as Json)['content']
    assert.equal(part.logprobs.map((one: Json) => one['token']).join(''), part.text)
    assert.ok(part.logprobs.every((one: Json) => one['top_logprobs'].length === 2))
  }
  const deltas =
    (await events({ input: 'hi', top_logprobs: 1 })).filter(event => event['type'] === 'response.output_text.delta')
  assert.equal(deltas.flatMap(event => event['logprobs']).length, 8)
})

test('guidance works as in chat, streamed too', async () => {
  const alignment = { strategy: 'best_of_n', num_candidates: 3, reward: 'length', return_candidates: true }
  const response = await ask({ input: 'hi', alignment })
  const { json } = await server.post('/v1/chat/completions',
    { model: 'tiny', messages: [user('hi')], max_tokens: 8, seed: 1, ignore_eos: true, alignment })
  assert.equal(response.output_text, json['choices'][0].message.content)
  assert.deepEqual(response.alignment, json['alignment'])
  assert.deepEqual((response.output[0] as Json)['alignment'], json['choices'][0].alignment)
  const { alignment_details: ledger } = response.usage as Json
  assert.equal(ledger['generated_tokens'], ledger['returned_tokens'] + ledger['discarded_tokens'])
  const searched = await events({
    input: 'hi',
    alignment: {
      strategy: 'beam_search',
      num_beams: 2,
      num_children: 2,
      step: { tokens: 2 },
      reward: 'length',
      allow_scope_mismatch: true,
      return_progress: true
    }
  })
  assert.ok(searched.some(event => event['type'] === 'response.alignment.progress' && event['candidates'].length === 4))
  assert.equal(searched.at(-1)!['response'].alignment.strategy, 'beam_search')
})

test('what was read is listed in pages', async () => {
  const first = await ask({ input: [user('one'), user('two')] })
  const second = await ask({ input: 'three', previous_response_id: first.id })
  const texts: string[] = []
  for await (const item of client.responses.inputItems.list(second.id, { limit: 2, order: 'asc' })) {
    texts.push((item as Json)['content'][0].text)
  }
  assert.deepEqual(texts, ['one', 'two', first.output_text, 'three'])
  const newest = await client.responses.inputItems.list(second.id, { limit: 1 })
  assert.deepEqual((newest.data[0] as Json)['content'], [{ type: 'input_text', text: 'three' }])
  assert.equal(
    (await refusal(client.responses.inputItems.list(second.id, { limit: 101 }).then(list => list.data))).param, 'limit'
  )
  assert.equal((await refusal(client.responses.inputItems.list(second.id, { after: 'msg_none' }).then(list =>
    list.data))).param, 'after')
})

test('what is not stored, or was deleted, is not found', async () => {
  const unstored = await ask({ input: 'hi', store: false })
  assert.equal(unstored.store, false)
  assert.equal((await refusal(client.responses.retrieve(unstored.id))).status, 404)
  const kept = await ask({ input: 'hi' })
  await client.responses.delete(kept.id)
  assert.equal((await refusal(client.responses.retrieve(kept.id))).code, 'not_found')
  assert.equal((await refusal(client.responses.delete(kept.id))).status, 404)
  for (const { id } of [unstored, kept]) {
    const error = await refusal(ask({ input: 'more', previous_response_id: id }))
    assert.deepEqual([error.status, error.code, error.param],
      [400, 'previous_response_not_found', 'previous_response_id'])
  }
})

test('a background response is queued at once, goes on by itself, and can be read from any event on', async () => {
  const asked = await ask({ input: 'hi', background: true })
  assert.deepEqual([asked.status, asked.background, asked.output], ['queued', true, []])
  let now = asked
  while (now.status === 'queued' || now.status === 'in_progress') {
    now = await client.responses.retrieve(asked.id) as Response
  }
  assert.equal(now.output_text, (await ask({ input: 'hi' })).output_text)
  assert.match((await refusal(client.responses.retrieve(asked.id, { stream: true }).then(() => null))).message,
    /background: true and stream: true/)

  const all = await events({ input: 'hi', background: true })
  assert.deepEqual(all.slice(0, 3).map(event => event['type']),
    ['response.created', 'response.queued', 'response.in_progress'])
  const { id } = all[0]!['response']
  const later: Json[] = []
  for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: 4 })) later.push(event)
  assert.deepEqual(later, all.slice(5))
  // Read on from its end there is nothing more, and that is said at once.
  for await (const event of await client.responses.retrieve(id,
    { stream: true, starting_after: all.at(-1)!['sequence_number'] })) assert.fail(JSON.stringify(event))
})

test('a reader that leaves a background stream does not end it', async () => {
  const stream = await client.responses.create(
    { ...base, input: 'hi', stream: true, background: true, max_output_tokens: 100, ignore_eos: true, seed: 1 } as never
  ) as unknown as AsyncIterable<Json> & { controller: AbortController }
  const { value } = await stream[Symbol.asyncIterator]().next()
  stream.controller.abort()
  const found: Json[] = []
  for await (const event of await client.responses.retrieve(value.response.id, { stream: true })) found.push(event)
  assert.equal(found.at(-1)!['type'], 'response.incomplete')
  assert.equal(found.at(-1)!['response'].usage.output_tokens, 100)
})

test('a background response can be cancelled, twice too; others cannot', async () => {
  const asked = await ask({ input: 'hi', background: true, max_output_tokens: 400 })
  const next = await refusal(ask({ input: 'more', previous_response_id: asked.id }))
  assert.match(next.message, /must name a response that has ended/)
  assert.equal((await client.responses.cancel(asked.id)).status, 'cancelled')
  assert.equal((await client.responses.cancel(asked.id)).status, 'cancelled')
  assert.equal((await client.responses.retrieve(asked.id)).status, 'cancelled')
  const { json } = await server.post('/tokenize', { prompt: 'the engine is free' })
  assert.ok(json['count'] > 0)
  const engine = (await (await fetch(`${server.address}/ready`)).json() as Json)['engine']
  assert.deepEqual([engine.runningRequests, engine.sequences], [0, 0])
  assert.match((await refusal(client.responses.cancel((await ask({ input: 'hi' })).id))).message, /background: true/)
})

test('a reader that waits beyond the last event of a cancelled response is not left waiting', async () => {
  const { value } = await (await client.responses.create(
    { ...base, input: 'hi', stream: true, background: true, max_output_tokens: 400, ignore_eos: true } as never
  ) as unknown as AsyncIterable<Json>)[Symbol.asyncIterator]().next()
  const reading = client.responses.retrieve(value.response.id, { stream: true, starting_after: 100_000 })
  await client.responses.cancel(value.response.id)
  for await (const event of await reading) assert.fail(JSON.stringify(event))
})

test('requests without a body may name its content type, as some clients do', async () => {
  const headers = { 'content-type': 'application/json' }
  const asked = await ask({ input: 'hi', background: true })
  for (const [path, method] of [[`${asked.id}/cancel`, 'POST'], [asked.id, 'DELETE']] as const) {
    assert.equal((await fetch(`${server.address}/v1/responses/${path}`, { method, headers })).status, 200, path)
  }
  const refused = await fetch(`${server.address}/v1/responses`, { method: 'POST', headers })
  assert.deepEqual([refused.status, (await refused.json() as Json)['error'].message],
    [400, 'body must be a JSON object; got nothing'])
})

test('fields of any name are ignored in a background response, too', async () => {
  const { status, headers, json } =
    await server.post('/v1/responses', { ...base, input: 'hi', background: true, ключ: 1 })
  assert.deepEqual([status, headers.get('x-fairlead-ignored'), json['status']],
    [200, '%D0%BA%D0%BB%D1%8E%D1%87', 'queued'])
})

test('a background request that fails says so', async () => {
  const asked = await ask({ input: 'hi', background: true, max_output_tokens: 5000 })
  let now = asked as OpenAI.Responses.Response
  while (now.status === 'queued') now = await client.responses.retrieve(asked.id)
  assert.equal(now.status, 'failed')
  assert.equal(now.error!.code, 'context_length_exceeded')
  await assert.rejects(ask({ input: 'hi', background: true, model: 'other' }),
    /404 The model "other" does not exist; this server has tiny/)
})

test('truncation leaves out the oldest messages, and says how many', async () => {
  const small = await tinyServer({ contextLength: '64' })
  const input = [{ role: 'system', content: 'sys' }, ...Array.from({ length: 12 }, (_, index) => user(`m${index}`))]
  const post = (body: object): ReturnType<TinyServer['post']> =>
    small.post('/v1/responses', { ...base, seed: 1, ignore_eos: true, input, ...body })
  try {
    assert.equal((await post({})).json['error'].code, 'context_length_exceeded')
    const { json } = await post({ truncation: 'auto' })
    const dropped = json['dropped_messages'] as number
    assert.ok(dropped > 0 && json['usage'].input_tokens + 8 < 64, JSON.stringify(json))
    const kept = [input[0], ...input.slice(1 + dropped)]
    const same = await small.post('/v1/chat/completions',
      { model: 'tiny', messages: kept, max_tokens: 8, seed: 1, ignore_eos: true })
    assert.equal(json['output'][0].content[0].text, same.json['choices'][0].message.content)
    // One message more would not have fitted.
    assert.ok(
      (await small.post('/tokenize', { messages: [input[0], ...input.slice(dropped)] })).json['count'] + 8 + 1 > 64
    )
    assert.equal((await post({ truncation: 'auto', input: 'x'.repeat(300) })).json['error'].code,
      'context_length_exceeded')
  } finally {
    await small.close()
  }
})

/** [body, param, what the message says] */
const refused: ReadonlyArray<readonly [object, string, RegExp]> = [
  [{}, 'input', /must hold at least one item; got null/],
  [{ input: [] }, 'input', /at least one item/],
  [{ input: '' }, 'input', /a string of at least 1 character/],
  [{ input: [{ type: 'reasoning', id: 'x' }] }, 'input[0].type',
    /one of message, function_call, function_call_output, item_reference; got "reasoning"/],
  [{ input: [{ role: 'tool', content: 'x' }] }, 'input[0].role',
    /one of system, developer, user, assistant; got "tool"/],
  [{ input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'http://127.0.0.1/x' }] }] },
    'input[0].content[0].type', /one of input_text, output_text, refusal; got "input_image"/],
  [{ input: 'x', max_output_tokens: 0 }, 'max_output_tokens', /an integer from 1 to/],
  [{ input: 'x', max_tokens: 4 }, 'max_tokens', /say max_output_tokens/],
  [{ input: 'x', messages: [] }, 'messages', /say input/],
  [{ input: 'x', n: 2 }, 'n', /one answer/],
  [{ input: 'x', text: { format: { type: 'xml' } } }, 'text.format.type',
    /one of text, json_object, json_schema; got "xml"/],
  [{ input: 'x', text: { format: { type: 'json_schema', name: 'n', schema: { type: 'string', pattern: 'a' } } } },
    'text.format.schema.pattern', /pattern/],
  [{ input: 'x', text: { format: { type: 'json_schema', schema: {} } } }, 'text.format.name', /1 to 64 letters/],
  [{ input: 'x', text: { format: { type: 'json_object' } }, min_tokens: 2 }, 'min_tokens',
    /must be 0 with text.format/],
  [{ input: 'x', conversation: 'conv_1' }, 'conversation', /is not supported/],
  [{ input: 'x', include: ['everything'] }, 'include[0]', /message\.output_text\.logprobs/],
  [{ input: 'x', truncation: 'middle' }, 'truncation', /one of auto, disabled/],
  [{ input: 'x', background: true, store: false }, 'background', /needs store: true/],
  [{ input: 'x', stream_options: {} }, 'stream_options', /needs stream: true/],
  [{ input: 'x', metadata: { a: 1 } }, 'metadata.a', /a string of at most 512 characters; got 1/],
  [{ input: 'x', metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, 'v'])) },
    'metadata', /at most 16/],
  [{ input: 'x', temperature: 3 }, 'temperature', /from 0 to 2; got 3/],
  [{ input: 'x', top_logprobs: 21 }, 'top_logprobs', /from 0 to 20/],
  [{ input: 'x', alignment: { reward: 'length', num_candidates: 0 } }, 'alignment.num_candidates', /got 0/]
]

for (const [body, param, message] of refused) {
  test(`${JSON.stringify(body).slice(0, 100)} is refused at ${param}`, async () => {
    const { status, json } = await server.post('/v1/responses', { model: 'tiny', ...body })
    assert.equal(status, 400)
    assert.equal(json['error'].param, param)
    assert.match(json['error'].message, message)
  })
}

test('fields that OpenAI’s clients send of their own accord are no mistake', async () => {
  const { status, headers } = await server.post('/v1/responses', {
    ...base,
    input: 'x',
    tools: [],
    tool_choice: 'auto',
    parallel_tool_calls: true,
    reasoning: { effort: 'low' },
    text: { verbosity: 'low' },
    service_tier: 'auto',
    include: ['reasoning.encrypted_content'],
    max_tool_calls: 3,
    prompt_cache_key: 'k',
    conversation: null
  })
  assert.equal(status, 200)
  assert.equal(headers.get('x-fairlead-ignored'), null)
})
