/** Legacy completions on a tiny model: prompts of every kind, echo and logprobs, best_of, streams. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
before(async () => { server = await tinyServer({ maxTokensPerRequest: '2000' }) })
after(() => server.close())

const base = { model: 'tiny', prompt: 'the an', max_tokens: 6, seed: 1 }
const ask = async (body: object): Promise<Record<string, any>> => {
  const { status, json } = await server.post('/v1/completions', { ...base, ...body })
  assert.equal(status, 200, JSON.stringify(json))
  return json
}

test('a text, its token ids, and a list with it give the same answer', async () => {
  const text = await ask({})
  assert.equal(text['object'], 'text_completion')
  assert.equal(text['choices'].length, 1)
  assert.equal(text['usage'].completion_tokens, 6)
  const { json: { tokens } } = await server.post('/tokenize', { prompt: base.prompt })
  for (const prompt of [tokens, [base.prompt], [tokens]]) {
    assert.equal((await ask({ prompt }))['choices'][0].text, text['choices'][0].text)
  }
})

test('without max_tokens an answer has at most 16 tokens', async () => {
  assert.equal((await ask({ max_tokens: null, ignore_eos: true }))['usage'].completion_tokens, 16)
})

test('texts of control tokens in a prompt are control tokens', async () => {
  assert.equal((await ask({ prompt: '<|im_start|>in' }))['usage'].prompt_tokens, 2)
})

test('several prompts give n choices each, in order, and one usage', async () => {
  const both = await ask({ prompt: ['the an', 'in'], n: 2 })
  const [first, second] = [await ask({ n: 2 }), await ask({ prompt: 'in', n: 2 })]
  assert.deepEqual(both['choices'].map((choice: { index: number }) => choice.index), [0, 1, 2, 3])
  assert.deepEqual(both['choices'].map((choice: { text: string }) => choice.text),
    [...first['choices'], ...second['choices']].map(choice => choice.text))
  assert.equal(both['usage'].prompt_tokens, first['usage'].prompt_tokens + second['usage'].prompt_tokens)
  // Which answers end before max_tokens follows from how the processor's kernels round.
  assert.equal(both['usage'].completion_tokens, first['usage'].completion_tokens + second['usage'].completion_tokens)
  assert.ok(first['usage'].completion_tokens > 0 && second['usage'].completion_tokens > 0)
})

test('echo gives the prompt, with the logprobs that reading it token by token gives', async () => {
  const { choices: [choice] } = await ask({ echo: true, logprobs: 3, max_tokens: 4 })
  const { tokens, token_logprobs: logprobs, top_logprobs: top, text_offset: offsets } = choice.logprobs
  assert.ok(choice.text.startsWith('the an'))
  assert.deepEqual(tokens.slice(0, 3), ['the', ' ', 'an'])
  assert.deepEqual(offsets.slice(0, 4), [0, 3, 4, 6])
  assert.equal(logprobs[0], null)
  assert.equal(top[0], null)
  for (const [index, before, token] of [[1, 'the', ' '], [2, 'the ', 'an']] as const) {
    // What follows `before`, if it is made to be `token`.
    const { json: { tokens: [id] } } = await server.post('/tokenize', { prompt: token })
    const forced = await ask({ prompt: before, max_tokens: 1, logprobs: 0, logit_bias: { [id]: 100 }, temperature: 0 })
    assert.equal(forced['choices'][0].logprobs.tokens[0], token)
    assert.ok(Math.abs(forced['choices'][0].logprobs.token_logprobs[0] - logprobs[index]) < 1e-4)
    assert.equal(top[index][token], logprobs[index])
    assert.ok(Object.keys(top[index]).length <= 4)
  }
})

test('offsets of echoed text and of what follows it are in code points, streamed too', async () => {
  const body = { prompt: '🙂🙂 an', echo: true, logprobs: 0, max_tokens: 2, temperature: 0, ignore_eos: true }
  const { choices: [{ text, logprobs: { tokens, text_offset: offsets } }] } = await ask(body)
  for (const [index, token] of tokens.entries()) {
    if (!token.startsWith('bytes:')) {
      const characters = [...text].slice(offsets[index])
      assert.ok(characters.join('').startsWith(token), `${token} is at ${offsets[index]} of ${text}`)
    }
  }
  const chunks = await server.stream('/v1/completions', { ...base, ...body })
  assert.deepEqual(chunks.flatMap(chunk => chunk['choices'][0]?.logprobs?.text_offset ?? []), offsets)
})

test('max_tokens 0 without echo answers with nothing', async () => {
  const { choices, usage } = await ask({ max_tokens: 0 })
  assert.deepEqual([choices[0].text, choices[0].finish_reason, usage.completion_tokens], ['', 'length', 0])
})

test('with max_tokens 0 the prompt is read and nothing is drawn', async () => {
  const read = await ask({ echo: true, logprobs: 1, max_tokens: 0, prompt: ['the an', 'in the'] })
  assert.deepEqual(read['choices'].map((choice: { text: string }) => choice.text), ['the an', 'in the'])
  assert.equal(read['choices'][1].logprobs.tokens.join(''), 'in the')
  assert.equal(read['usage'].completion_tokens, 0)
})

test('a prompt of token ids is echoed as it is written, control tokens included', async () => {
  assert.ok((await ask({ prompt: [1, 263], echo: true }))['choices'][0].text.startsWith('<|im_start|>the'))
})

test('best_of returns the answers whose tokens are the most probable on average', async () => {
  const all = await ask({ n: 6, logprobs: 0, ignore_eos: true })
  const mean = (choice: { logprobs: { token_logprobs: number[] } }): number =>
    choice.logprobs.token_logprobs.reduce((sum, one) => sum + one, 0) / choice.logprobs.token_logprobs.length
  const ranked = [...all['choices']].sort((a, b) => mean(b) - mean(a)).map(choice => choice.text)
  const best = await ask({ n: 2, best_of: 6, ignore_eos: true })
  assert.deepEqual(best['choices'].map((choice: { text: string }) => choice.text), ranked.slice(0, 2))
  assert.deepEqual(best['choices'].map((choice: { index: number }) => choice.index), [0, 1])
  const { generated_tokens: generated, discarded_tokens: discarded } = best['usage'].alignment_details
  assert.deepEqual([best['usage'].completion_tokens, generated, discarded], [12, 36, 24])
})

test('a stream joins to the whole answer: text, logprobs and usage', async () => {
  const body = { ...base, prompt: ['the an', 'in'], n: 2, echo: true, logprobs: 1 }
  const whole = await ask(body)
  const chunks = await server.stream('/v1/completions', { ...body, stream_options: { include_usage: true } })
  for (const choice of whole['choices']) {
    const own = chunks.flatMap(chunk => chunk['choices']).filter(one => one.index === choice.index)
    assert.equal(own.map(one => one.text).join(''), choice.text)
    for (const list of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset']) {
      assert.deepEqual(own.flatMap(one => one.logprobs?.[list] ?? []), choice.logprobs[list], list)
    }
    assert.deepEqual(own.flatMap(one => one.finish_reason ?? []), [choice.finish_reason])
  }
  const { choices, usage } = chunks.at(-1)!
  assert.deepEqual(choices, [])
  assert.equal(usage.completion_tokens, whole['usage'].completion_tokens)
  assert.ok(chunks.slice(0, -1).every(chunk => chunk['usage'] === null))
})

test('alignment guides each prompt, and each is told of', async () => {
  const alignment = {
    strategy: 'best_of_n', num_candidates: 4, rewards: [{ name: 'length', weight: -1 }], return_candidates: true
  }
  const one = await ask({ alignment })
  assert.equal(one['choices'][0].alignment.reward,
    Math.max(...one['alignment'].candidates.map((candidate: { reward: number }) => candidate.reward)))
  const two = await ask({ alignment, prompt: ['the an', 'in'] })
  assert.equal(two['alignment'].length, 2)
  assert.deepEqual(two['alignment'][0].candidates, one['alignment'].candidates)
  const chunks = await server.stream('/v1/completions', { ...base, alignment })
  assert.equal(chunks.map(chunk => chunk['choices'][0]?.text ?? '').join(''), one['choices'][0].text)
  assert.deepEqual(chunks.at(-1)!['alignment'].candidates, one['alignment'].candidates)
})

/** [what, body, param, what the message says] */
const refused: ReadonlyArray<readonly [string, object, string, RegExp]> = [
  ['no prompt', { prompt: undefined }, 'prompt', /prompt must be .*; got nothing/],
  ['an empty prompt', { prompt: '' }, 'prompt', /must be a string of at least 1 character or .*; got ""/],
  ['an empty list', { prompt: [] }, 'prompt', /got \[\]/],
  ['texts and tokens mixed', { prompt: ['a', 1] }, 'prompt', /got \["a",1\]/],
  ['a negative token', { prompt: [-1] }, 'prompt', /got \[-1\]/],
  ['a token outside the vocabulary', { prompt: [264] }, 'prompt', /must hold token ids from 0 to 263; got 264/],
  ['too many prompts', { prompt: Array.from({ length: 129 }, () => 'a') }, 'prompt', /list of 1 to 128/],
  ['a prompt beyond the context', { prompt: 'a'.repeat(600) }, 'prompt',
    /context length is 512 tokens; the prompt has 600/],
  ['an answer beyond the context', { max_tokens: 512 }, 'max_tokens', /the prompt has 3 and max_tokens asks for 512/],
  ['more than the ceiling over all prompts', { prompt: ['a', 'b', 'c'], n: 3, max_tokens: 300 }, 'max_tokens',
    /may generate 2000 tokens .* asks for 2700 over 3 prompts/],
  ['best_of below n', { n: 3, best_of: 2 }, 'best_of', /must be at least n = 3; got 2/],
  ['best_of in a stream', { best_of: 2, stream: true }, 'best_of', /cannot be streamed/],
  ['best_of with alignment', { best_of: 2, alignment: { reward: 'length' } }, 'best_of',
    /cannot be given with alignment/],
  ['too many logprobs', { logprobs: 21 }, 'logprobs', /an integer from 0 to 20 or null; got 21/],
  ['more logprobs than an answer can hold', { echo: true, logprobs: 20, prompt: Array.from({ length: 16 }, () => 'a') },
    'logprobs', /must, with echo and 16 prompts, be at most 15; got 20/],
  ['a suffix', { suffix: 'end' }, 'suffix', /is not supported/],
  ['min_tokens above max_tokens', { min_tokens: 7 }, 'min_tokens', /must be at most max_tokens = 6; got 7/],
  ['no such priority', { priority: 1001 }, 'priority', /an integer from -1000 to 1000; got 1001/],
  ['messages', { prompt: undefined, messages: [] }, 'prompt', /got nothing/]
]

for (const [what, body, param, message] of refused) {
  test(`${what} is refused with its field, rule and value`, async () => {
    const { status, json } = await server.post('/v1/completions', { ...base, ...body })
    assert.equal(status, 400)
    assert.equal(json['error'].param, param)
    assert.match(json['error'].message, message)
  })
}

test('one bad prompt among good ones refuses the request, streamed or not', async () => {
  for (const stream of [false, true]) {
    const { status, json } = await server.post('/v1/completions',
      { ...base, prompt: [...new Array<string>(40).fill('the an'), 'a'.repeat(600)], stream })
    assert.deepEqual([status, json['error'].code], [400, 'context_length_exceeded'])
  }
  const ready = await (await fetch(`${server.address}/ready`)).json() as { engine: { sequences: number } }
  assert.equal(ready.engine.sequences, 0)
})
