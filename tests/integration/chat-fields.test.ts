/** vLLM's usual extra fields of chat completions, on a tiny model: each does what it says. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
before(async () => { server = await tinyServer() })
after(() => server.close())

const messages = [{ role: 'user', content: 'hi' }]
const base = { model: 'tiny', messages, max_tokens: 8, seed: 1 }
const endOfTurn = 2
const ask = async (body: object): Promise<Record<string, any>> => {
  const { status, json } = await server.post('/v1/chat/completions', { ...base, ...body })
  assert.equal(status, 200, JSON.stringify(json))
  return json
}
const textOf = (completion: Record<string, any>): string => completion['choices'][0].message.content

test('top_p 0 is greedy, and draws what temperature 0 does', async () => {
  const [nucleus, greedy] = [await ask({ top_p: 0, seed: 5 }), await ask({ temperature: 0, seed: 6 })]
  assert.equal(textOf(nucleus), textOf(greedy))
})

test('top_logprobs 0 asks for nothing without logprobs', async () => {
  assert.equal((await ask({ logprobs: false, top_logprobs: 0 }))['choices'][0].logprobs, null)
  const { json } = await server.post('/v1/chat/completions', { ...base, top_logprobs: 1 })
  assert.deepEqual([json['error'].param, json['error'].code], ['top_logprobs', 'invalid_request'])
})

test('seeds are integers of 64 bits: each gives an answer that it gives again', async () => {
  // As JSON text: JavaScript has no such integers.
  const send = async (seed: string): Promise<Record<string, any>> => {
    const response = await fetch(`${server.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...base, seed: 0, max_tokens: 30, ignore_eos: true }).replace('"seed":0', `"seed":${seed}`)
    })
    return await response.json() as Record<string, any>
  }
  const seeds = ['-1', '1', '-9223372036854775808', '9223372036854775807', '9007199254740993']
  const texts = []
  for (const seed of seeds) {
    texts.push(textOf(await send(seed)))
    assert.equal(textOf(await send(seed)), texts.at(-1), seed)
  }
  assert.equal(new Set(texts).size, seeds.length)
  for (const seed of ['18446744073709551616', '-18446744073709551616', '0.5', '"1"']) {
    assert.deepEqual((await send(seed))['error']?.param, 'seed', seed)
  }
})

test('return_token_ids gives the prompt’s tokens and all that were drawn, the end token too', async () => {
  const { json: { tokens } } = await server.post('/tokenize', { messages })
  const whole = await ask({ return_token_ids: true, logit_bias: { [endOfTurn]: 5 }, max_tokens: 200 })
  assert.deepEqual(whole['prompt_token_ids'], tokens)
  assert.equal(whole['choices'][0].finish_reason, 'stop')
  assert.equal(whole['choices'][0].token_ids.length, whole['usage'].completion_tokens)
  assert.equal(whole['choices'][0].token_ids.at(-1), endOfTurn)
  const chunks = await server.stream('/v1/chat/completions',
    { ...base, return_token_ids: true, logit_bias: { [endOfTurn]: 5 }, max_tokens: 200 })
  assert.deepEqual(chunks[0]!['prompt_token_ids'], tokens)
  assert.deepEqual(chunks.flatMap(chunk => chunk['choices'][0]?.token_ids ?? []), whole['choices'][0].token_ids)
})

test('include_stop_str_in_output keeps the stop text and nothing after it, streamed too', async () => {
  const free = textOf(await ask({}))
  const stop = free.slice(2, 3)
  assert.equal(textOf(await ask({ stop })), free.slice(0, free.indexOf(stop)))
  const kept = await ask({ stop, include_stop_str_in_output: true })
  assert.equal(textOf(kept), free.slice(0, free.indexOf(stop) + 1))
  assert.equal(kept['choices'][0].finish_reason, 'stop')
  const chunks = await server.stream('/v1/chat/completions', { ...base, stop, include_stop_str_in_output: true })
  assert.equal(chunks.map(chunk => chunk['choices'][0]?.delta.content ?? '').join(''), textOf(kept))
})

test('an included end token has its text where control tokens are shown, and its logprob', async () => {
  const body = { logit_bias: { [endOfTurn]: 100 }, include_stop_str_in_output: true, logprobs: true }
  assert.equal(textOf(await ask(body)), '')
  const shown = await ask({ ...body, skip_special_tokens: false })
  assert.equal(textOf(shown), '<|im_end|>')
  assert.deepEqual(shown['choices'][0].logprobs.content.map((one: { token: string }) => one.token), ['<|im_end|>'])
})

test('skip_special_tokens: false shows control tokens that do not end the answer', async () => {
  const body = { ignore_eos: true, logit_bias: { [endOfTurn]: 100 }, max_tokens: 2 }
  assert.equal(textOf(await ask(body)), '')
  assert.equal(textOf(await ask({ ...body, skip_special_tokens: false })), '<|im_end|><|im_end|>')
})

test('prompt_lookup and prediction guess tokens: the usage counts them, the fingerprint names them, the text is ' +
  'the model’s', async () => {
  const greedy = { temperature: 0, max_tokens: 60, ignore_eos: true }
  const plain = await ask(greedy)
  assert.equal(plain['usage'].completion_tokens_details, undefined)
  for (const content of [textOf(plain), [{ type: 'text', text: textOf(plain) }]]) {
    const drafted = await ask({ ...greedy, prediction: { type: 'content', content } })
    assert.equal(textOf(drafted), textOf(plain))
    const {
      completion_tokens: tokens,
      completion_tokens_details: { accepted_prediction_tokens: accepted, rejected_prediction_tokens: rejected },
      alignment_details: details
    } = drafted['usage']
    assert.ok(accepted > 0 && rejected >= 0, JSON.stringify(drafted['usage']))
    assert.equal(tokens, 60)
    assert.ok(details.forward_passes <= plain['usage'].alignment_details.forward_passes - accepted)
    assert.equal(drafted['system_fingerprint'], `${plain['system_fingerprint']}-drafts`)
  }
  const { json: { tokens: [the] } } = await server.post('/tokenize', { prompt: 'the' })
  const completion = await server.post('/v1/completions',
    { model: 'tiny', prompt: 'the the the the', logit_bias: { [the]: 100 }, max_tokens: 40, prompt_lookup: true })

  assert.ok(completion.json.usage.completion_tokens_details.accepted_prediction_tokens > 0)
})

test('guessing is refused where several answers are drawn, or a guided one', async () => {
  for (const [body, message] of [
    [{ prompt_lookup: true, n: 2 }, /prompt_lookup needs one answer/],
    [{ prediction: { type: 'content', content: 'a' }, n: 2 }, /prediction needs one answer/],
    [{ prompt_lookup: true, alignment: { strategy: 'best_of_n', reward: 'length', num_candidates: 2 } },
      /prompt_lookup cannot be given with alignment/],
    [{ prediction: { type: 'text', content: 'a' } }, /prediction/]
  ] as const) {
    const { status, json } = await server.post('/v1/chat/completions', { ...base, ...body })
    assert.equal(status, 400)
    assert.match(json.error.message, message)
  }
  const { status, json } =
    await server.post('/v1/completions', { model: 'tiny', prompt: ['a', 'b'], prompt_lookup: true })
  assert.equal(status, 400)
  assert.match(json.error.message, /prompt_lookup needs one answer/)
})

test('a temperature below 0.001 is 0, wherever one is given', async () => {
  const drawn = async (path: string, body: object): Promise<unknown> => {
    const { status, json } = await server.post(path, { model: 'tiny', ignore_eos: true, seed: 1, ...body })
    assert.equal(status, 200, JSON.stringify(json))
    return json['choices']?.[0].token_ids ?? json['output'][0].content[0].text
  }
  for (const [path, body] of [
    ['/v1/chat/completions', { messages, max_tokens: 8, return_token_ids: true }],
    ['/v1/chat/completions', {
      messages,
      max_tokens: 8,
      return_token_ids: true,
      alignment: { strategy: 'best_of_n', num_candidates: 2, reward: 'length' }
    }],
    ['/v1/completions', { prompt: 'the', max_tokens: 8, return_token_ids: true }],
    ['/v1/responses', { input: 'hi', max_output_tokens: 8 }]
  ] as const) {
    const greedy = await drawn(path, { ...body, temperature: 0 })
    for (const temperature of [9e-4, 1e-30, 1e-38, 1e-40, 5e-324]) {
      assert.deepEqual(await drawn(path, { ...body, temperature }), greedy, `${path} at ${temperature}`)
    }
    assert.notDeepEqual(await drawn(path, { ...body, temperature: 1 }), greedy)
  }
})

test('stop_token_ids end the answer, min_tokens puts that off', async () => {
  const { json: { tokens: [the] } } = await server.post('/tokenize', { prompt: 'the' })
  const body = { stop_token_ids: [the], logit_bias: { [the]: 100 }, return_token_ids: true }
  assert.deepEqual((await ask(body))['choices'][0].token_ids, [the])
  assert.equal((await ask({ ...body, min_tokens: 3 }))['choices'][0].token_ids.indexOf(the), 3)
})

test('continue_final_message goes on from the last message; echo puts it before the answer', async () => {
  const started = [...messages, { role: 'assistant', content: 'the an ' }]
  const open = await ask({ messages: started, continue_final_message: true, return_token_ids: true })
  const { json: { prompt } } = await server.post('/detokenize', { tokens: open['prompt_token_ids'] })
  assert.ok(prompt.endsWith('<|im_start|>assistant\nthe an '), prompt)
  const echoed = await ask({ messages: started, continue_final_message: true, echo: true })
  assert.equal(textOf(echoed), `the an ${textOf(open)}`)
  const chunks = await server.stream('/v1/chat/completions',
    { ...base, messages: started, continue_final_message: true, echo: true })
  assert.equal(chunks.map(chunk => chunk['choices'][0]?.delta.content ?? '').join(''), textOf(echoed))
})

test('add_generation_prompt: false opens no turn', async () => {
  const { prompt_token_ids: tokens } = await ask({ add_generation_prompt: false, return_token_ids: true })
  const { json: { prompt } } = await server.post('/detokenize', { tokens })
  assert.ok(prompt.endsWith('hi<|im_end|>\n'), prompt)
})

test('cache_salt keeps cached prompts apart', async () => {
  const cached = async (salt: string): Promise<number> => (await ask({
    cache_salt: salt, messages: [{ role: 'user', content: 'the same prompt' }]
  }))['usage'].prompt_tokens_details.cached_tokens
  assert.equal(await cached('a'), 0)
  assert.ok(await cached('a') > 0)
  assert.equal(await cached('b'), 0)
})

test('an answer can be sent back as the client has it', async () => {
  const { choices: [{ message }] } = await ask({})
  await ask({ messages: [...messages, message, { role: 'user', content: 'more' }] })
})

/** [body, param, what the message says] */
const refused: ReadonlyArray<readonly [object, string, RegExp]> = [
  [{ continue_final_message: true, add_generation_prompt: true }, 'continue_final_message', /cannot both be true/],
  [{ echo: true }, 'echo', /needs a last message of the assistant; got "user"/],
  [{ min_p: 1.5 }, 'min_p', /a number from 0 to 1; got 1.5/],
  [{ repetition_penalty: 0 }, 'repetition_penalty', /a number above 0 to 10; got 0/],
  [{ top_k: -2 }, 'top_k', /an integer from -1 to/],
  [{ min_tokens: 9 }, 'min_tokens', /must be at most max_tokens = 8; got 9/],
  [{ stop_token_ids: [264] }, 'stop_token_ids', /token ids from 0 to 263; got 264/],
  [{ stop_token_ids: [-1] }, 'stop_token_ids', /got \[-1\]/],
  [{ logit_bias: { 264: 1 } }, 'logit_bias', /token ids from 0 to 263; got 264/],
  [{ logit_bias: { 1: 101 } }, 'logit_bias.1', /a number from -100 to 100; got 101/],
  [{ logit_bias: { x: 1 } }, 'logit_bias', /names that are token ids; got "x"/],
  [{ include_stop_str_in_output: 'yes' }, 'include_stop_str_in_output', /true or false; got "yes"/],
  [{ skip_special_tokens: 0 }, 'skip_special_tokens', /true or false; got 0/],
  [{ return_token_ids: 1 }, 'return_token_ids', /true or false; got 1/],
  [{ ignore_eos: 'no' }, 'ignore_eos', /true or false; got "no"/],
  [{ cache_salt: 7 }, 'cache_salt', /a string of at most 256 characters; got 7/],
  [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', /a list of at most 4 items/],
  [{ stop: '' }, 'stop', /got ""/],
  [{ best_of: 3 }, 'best_of', /best_of_n/],
  [{ prompt_logprobs: 1 }, 'prompt_logprobs', /is not supported/],
  [{ chat_template: '{{ x }}' }, 'chat_template', /is not supported/],
  [{ chat_template_kwargs: { tokenize: true } }, 'chat_template_kwargs', /is not supported/],
  [{ guided_json: {} }, 'guided_json', /say response_format/]
]

for (const [body, param, message] of refused) {
  test(`${JSON.stringify(body)} is refused at ${param}`, async () => {
    const { status, json } = await server.post('/v1/chat/completions', { ...base, ...body })
    assert.equal(status, 400)
    assert.equal(json['error'].param, param)
    assert.match(json['error'].message, message)
  })
}

test('neutral values of fields that are not supported are no mistake', async () => {
  const { headers } = await server.post('/v1/chat/completions', {
    ...base,
    priority: 0,
    length_penalty: 1,
    chat_template_kwargs: {},
    response_format: { type: 'text' },
    store: false,
    suffix: null
  })
  assert.equal(headers.get('x-fairlead-ignored'), null)
})

test('prediction is of chats; elsewhere the answer says that it is ignored', async () => {
  const prediction = { type: 'content', content: 'the' }
  for (const [path, body] of [['/v1/chat/completions', { messages }], ['/v1/completions', { prompt: 'hi' }],
    ['/v1/responses', { input: 'hi', max_tokens: undefined, max_output_tokens: 2 }]] as const) {
    const { status, headers } = await server.post(path, { model: 'tiny', max_tokens: 2, ...body, prediction })
    assert.deepEqual([status, headers.get('x-fairlead-ignored')],
      [200, path === '/v1/chat/completions' ? null : 'prediction'])
  }
})
