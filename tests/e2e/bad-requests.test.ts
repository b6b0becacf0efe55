import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Server } from '../../src/server.js'
import { engineStats, model, postChat, readyServer, review } from '../helpers/server.js'

let server: Server
before(async () => { server = await readyServer() })
after(() => server.close())

const base = { model, messages: review, max_tokens: 4 }
const aligned = (alignment: object): object => ({ ...base, alignment })

/** [what, body, status, code, param, what the message says] */
const refused: ReadonlyArray<readonly [string, unknown, number, string, string | null, RegExp]> = [
  ['an unknown model', { ...base, model: 'gpt-5' }, 404, 'model_not_found', 'model',
    /"gpt-5" does not exist; this server has smollm2-135m/],
  ['empty messages', { ...base, messages: [] }, 400, 'invalid_request', 'messages', /list of 1 to 4096 items; got \[\]/],
  ['a message without role', { ...base, messages: [{ content: 'x' }] }, 400, 'invalid_request', 'messages[0].role',
    /one of system, developer, user, assistant, tool; got nothing/],
  ['invalid JSON', '{"model": ', 400, 'invalid_request', null, /must be JSON/],
  ['a body that is no object', '[]', 400, 'invalid_request', 'body', /JSON object; got \[\]/],
  ['an unknown alignment field', aligned({ reward: 'positive', num_candidate: 4 }), 400, 'invalid_request',
    'alignment.num_candidate', /did you mean num_candidates\?/],
  ['a misspelt alignment', { ...base, alignmnet: {} }, 400, 'invalid_request', 'alignmnet', /did you mean alignment\?/],
  ['no candidates', aligned({ reward: 'positive', num_candidates: 0 }), 400, 'invalid_request',
    'alignment.num_candidates', /an integer from 1 to 128; got 0/],
  ['too many candidates', aligned({ reward: 'positive', num_candidates: 129 }), 400, 'invalid_request',
    'alignment.num_candidates', /an integer from 1 to 128; got 129/],
  ['an unknown reward', aligned({ reward: 'funny' }), 404, 'reward_not_found', 'alignment.rewards',
    /"funny".*positive/],
  ['a strategy without reward', aligned({ strategy: 'best_of_n' }), 400, 'invalid_request', 'alignment.reward',
    /is needed by best_of_n/],
  ['an unknown strategy', aligned({ strategy: 'mcts', reward: 'positive' }), 400, 'invalid_request',
    'alignment.strategy', /is not known; it must be one of best_of_n, /],
  ['a method that would cut its reward off', aligned({ strategy: 'token_guidance', method: 'rad', reward: 'positive' }),
    400, 'invalid_request', 'alignment.method', /rad needs one reward from 0 to 1/],
  ['a threshold that no answer meets',
    aligned({ reward: 'positive', num_candidates: 2, selection: 'threshold', min_reward: 99, fallback: 'error' }), 422,
    'reward_below_threshold', 'alignment.min_reward', /of 2 answers has reward .* below min_reward 99/],
  ['a fan-out beyond the ceiling', { ...aligned({ reward: 'positive', num_candidates: 128 }), max_tokens: 4000 }, 400,
    'budget_exceeded', 'max_tokens', /may generate 65536 tokens .* 128 × 4000 = 512000/],
  ['a prompt longer than the context', { ...base, messages: [{ role: 'user', content: 'word '.repeat(9000) }] }, 400,
    'context_length_exceeded', 'messages', /context length is 8192 tokens; the messages have \d+/],
  ['an answer longer than the context', { ...base, max_tokens: 8192 }, 400, 'context_length_exceeded', 'max_tokens',
    /max_tokens asks for 8192/],
  ['a token outside the vocabulary', { ...base, logit_bias: { 49152: 1 } }, 400, 'invalid_request', 'logit_bias',
    /token ids from 0 to 49151; got 49152/],
  ['more choices than candidates', { ...aligned({ reward: 'positive', num_candidates: 2 }), n: 3 }, 400,
    'invalid_request', 'n', /at most alignment.num_candidates = 2; got 3/],
  ['a tool without a function', { ...base, tools: [{ type: 'function' }] }, 400, 'invalid_request', 'tools[0].function',
    /got nothing/],
  ['fields of other servers', { ...base, use_beam_search: true }, 400, 'invalid_request', 'use_beam_search',
    /alignment: \{strategy: "beam_search"/],
  ['stream options without a stream', { ...base, stream_options: { include_usage: true } }, 400, 'invalid_request',
    'stream_options', /needs stream: true/],
  ['top_logprobs without logprobs', { ...base, top_logprobs: 2 }, 400, 'invalid_request', 'top_logprobs',
    /needs logprobs: true/]
]

for (const [what, body, status, code, param, message] of refused) {
  test(`${what} is refused with its field, rule and value`, async () => {
    const { status: given, json } = await postChat(server, body)
    assert.equal(given, status)
    assert.equal(json['error'].code, code)
    assert.equal(json['error'].param, param)
    assert.match(json['error'].message, message)
    assert.ok(typeof json['error'].type === 'string')
  })
}

test('unknown top-level fields are ignored, and the answer says so', async () => {
  const { status, headers } = await postChat(server, { ...base, some_new_field: 1, user: 'me' })
  assert.equal(status, 200)
  assert.equal(headers.get('x-fairlead-ignored'), 'some_new_field')
})

test('unknown routes and wrong methods have OpenAI’s bodies', async () => {
  const missing = await fetch(`${server.address}/v1/nothing`)
  assert.equal(missing.status, 404)
  assert.equal((await missing.json() as any).error.code, 'not_found')
  const wrong = await fetch(`${server.address}/v1/chat/completions`)
  assert.equal(wrong.status, 405)
  assert.equal(wrong.headers.get('allow'), 'POST')
  assert.equal((await wrong.json() as any).error.code, 'method_not_allowed')
})

test('a body of another type, or too large, is refused', async () => {
  const send = (body: string, type: string): Promise<Response> =>
    fetch(`${server.address}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': type }, body })
  assert.equal((await send('{}', 'text/plain')).status, 415)
  const large = await send(JSON.stringify({ ...base, messages: [{ role: 'user', content: 'x'.repeat(3 << 20) }] }),
    'application/json')
  assert.equal(large.status, 413)
  assert.equal((await large.json() as any).error.code, 'body_too_large')
})

test('after all that nothing is left, and the server serves', async () => {
  const { sequences, runningRequests } = await engineStats(server)
  assert.deepEqual({ sequences, runningRequests }, { sequences: 0, runningRequests: 0 })
  assert.equal((await postChat(server, base)).status, 200)
})

test('control tokens in a message are text: they end no turn', async () => {
  const count = async (content: string): Promise<number> =>
    (await postChat(server, { ...base, messages: [{ role: 'user', content }] })).json['usage'].prompt_tokens
  // As a control token the text would be one token.
  assert.ok(await count('a<|im_end|>b') >= await count('ab') + 4)
})
