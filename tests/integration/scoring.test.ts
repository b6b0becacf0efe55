/**
 * Scoring over HTTP on a tiny model: shapes, prefixes, budgets, rules that need no model, ensembles, a remote scorer,
 * guided answers under each.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Server } from '../../src/server.js'
import { fakeScorer, type FakeScorer } from '../helpers/fake-scorer.js'
import { engineStats, readyServer } from '../helpers/server.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-scoring-'))
const normalization = { mean: 0, std: 1, pool: 'none' }
const members = { outcome: { normalization }, prefix: { normalization } }
/** A head on layer 1 of the tiny model, 64 wide. */
const head = (turn: number) => ({
  kind: 'head',
  members,
  policy: { id: 'tiny', weightsSha256: '0'.repeat(64), format: 'f32' },
  layer: 1,
  pooling: 'mean',
  weights: Array.from({ length: 64 }, (_, i) => Math.sin(turn + i)),
  bias: 0
})
const descriptors = (origin: string): object[] => [
  { name: 'wave', ...head(1) },
  {
    name: 'waves',
    kind: 'ensemble',
    combine: 'lcb',
    penalty: 1,
    warnAboveStd: 1e-9,
    scorers: [head(1), head(2), head(3)]
  },
  { name: 'late', ...head(4), pooling: 'last', members: { outcome: { normalization } } },
  { name: 'otter', kind: 'rule', rule: 'must_mention', phrases: ['otter'] },
  { name: 'far', kind: 'remote', url: `${origin}/score`, protocol: 'score', timeoutMs: 2000, members },
  {
    name: 'far-lenient',
    kind: 'remote',
    url: `${origin}/score`,
    protocol: 'score',
    timeoutMs: 2000,
    onFailure: 'policy_only',
    members
  }
]
let server: Server
let remote: FakeScorer
let fault: Parameters<typeof fakeScorer>[0] | null = null

before(async () => {
  remote = await fakeScorer((body, response, request) => fault
    ? fault(body, response, request)
    : { data: (body['text_2'] as string[]).map((text, index) => ({ index, score: text.length })) })
  const model = join(folder, 'tiny.gguf')
  writeTinyGguf(model)
  for (const descriptor of descriptors(remote.origin)) {
    writeFileSync(join(folder, `${(descriptor as { name: string }).name}.json`),
      JSON.stringify({ description: 'x', ...descriptor }))
  }
  server = await readyServer({
    model,
    cacheDir: folder,
    rewardsDir: folder,
    remoteScorers: remote.origin,
    format: 'f32',
    maxTokensPerRequest: '4096',
    kvCacheBytes: String(1 << 20)
  })
})
after(async () => {
  await server.close()
  await remote.close()
  rmSync(folder, { recursive: true })
})

async function post (path: string, body: unknown): Promise<{ status: number, json: Record<string, any> }> {
  const response = await fetch(server.address + path,
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return { status: response.status, json: await response.json() as Record<string, any> }
}
async function get (path: string): Promise<{ status: number, json: Record<string, any> }> {
  const response = await fetch(server.address + path)
  return { status: response.status, json: await response.json() as Record<string, any> }
}
const pair = (answer: string): object => ({ prompt: 'say', answer })

test('a prompt is read once for all its answers, and each scores as it does alone', async () => {
  const prompt = 'tell me of the sea, '.repeat(12)
  const answers = ['an otter swims', 'a seal', 'x', '']
  const { json: { count } } = await post('/tokenize', { model: 'tiny', messages: [{ role: 'user', content: prompt }] })
  const { json: together } =
    await post('/v1/rewards/score', { reward: 'wave', input: answers.map(answer => ({ prompt, answer })) })
  assert.equal(together['usage'].computed_tokens, together['usage'].total_tokens - 3 * count)
  for (const [index, answer] of answers.entries()) {
    const { json: alone } = await post('/v1/rewards/score', { reward: 'wave', input: [{ prompt, answer }] })
    assert.ok(Math.abs(alone['data'][0].reward - together['data'][index].reward) < 1e-4, answer)
  }
})

test('pairs and conversations are scored alike, with every reward and their sum', async () => {
  const { status, json } = await post('/v1/rewards/score', {
    rewards: [{ name: 'wave', weight: 2 }, { name: 'otter' }],
    input: [pair('an otter'), {
      messages: [{ role: 'user', content: 'say' }, { role: 'assistant', content: 'an otter' }]
    }, { messages: [{ role: 'user', content: 'say' }], answer: 'a seal' }]
  })
  assert.equal(status, 200)
  const [one, same, other] = json['data']
  assert.deepEqual({ ...one, index: 1 }, same)
  assert.ok(Math.abs(one.reward - (2 * one.rewards.wave.standardized + 1)) < 1e-5)
  assert.deepEqual([one.rewards.otter.raw, other.rewards.otter.raw], [1, 0])
  assert.notEqual(one.rewards.wave.raw, other.rewards.wave.raw)
  assert.deepEqual(json['rewards_used'].map((used: { name: string, member: string, weight: number }) =>
    [used.name, used.member, used.weight]), [['wave', 'outcome', 2], ['otter', 'outcome', 1]])
  assert.equal(json['model'], 'tiny')
  assert.equal(json['usage'].prompt_tokens, json['usage'].total_tokens)
})

test('an answer scored every three tokens gives what its prefixes give when each is read anew', async () => {
  const answer = 'the otter 🦦 dives, 水獭潜水'
  const { json } = await post('/v1/rewards/score', { reward: 'wave', every: 3, input: [pair(answer)] })
  const [{ prefixes, reward, tokens }] = json['data']
  assert.equal(prefixes.length, Math.ceil(tokens / 3))
  const characters = [...answer]
  assert.deepEqual([prefixes.at(-1).end, prefixes.at(-1).reward, prefixes.at(-1).tokens],
    [characters.length, reward, tokens])
  assert.ok(!('text' in prefixes[0]), 'the answer is not told again')
  for (const prefix of prefixes) {
    const text = characters.slice(0, prefix.end).join('')
    const whole = await post('/v1/rewards/score', { reward: 'wave', member: 'prefix', input: [pair(text)] })
    const [anew] = whole.json['data']
    if (anew.tokens === prefix.tokens) {
      assert.ok(Math.abs(anew.reward - prefix.reward) < 1e-4, `${anew.reward} is ${prefix.reward}`)
    }
  }
})

test('many items are read in as many rounds as KV needs, and leave nothing behind', async () => {
  const input = Array.from({ length: 60 }, (_, index) => pair(`answer ${index} ${'x '.repeat(index % 7)}`))
  const { status, json } = await post('/v1/rewards/score', { reward: 'late', input })
  assert.equal(status, 200, JSON.stringify(json))
  assert.equal(json['data'].length, 60)
  const [alone] = (await post('/v1/rewards/score', { reward: 'late', input: [input[37]] })).json['data']
  assert.ok(Math.abs(alone.reward - json['data'][37].reward) < 1e-4)
  const { sequences, runningRequests } = await engineStats(server)
  assert.deepEqual([sequences, runningRequests], [0, 0])
})

test('rules ask the model nothing', async () => {
  const { json } = await post('/v1/rewards/score', { reward: 'otter', every: 2, input: [pair('an otter')] })
  assert.equal(json['usage'].computed_tokens, 0)
  assert.equal(json['data'][0].reward, 1)
})

test('an ensemble tells its spread and warns of disagreement, in scores and in answers', async () => {
  const { json } = await post('/v1/rewards/score', { reward: 'waves', input: [pair('a'), pair('b')] })
  assert.ok(json['data'].every((one: any) => one.rewards.waves.std > 0))
  assert.deepEqual(json['warnings'].map((warning: { code: string }) => warning.code),
    ['reward_policy_mismatch', 'ensemble_disagreement'])
  assert.match(json['warnings'][1].message, /on 2 of 2 answers/)
  const chat = await post('/v1/chat/completions', {
    model: 'tiny',
    messages: [{ role: 'user', content: 'say' }],
    max_tokens: 6,
    alignment: { strategy: 'best_of_n', num_candidates: 3, reward: 'waves' }
  })
  assert.ok(chat.json['choices'][0].alignment.rewards.waves.std > 0)
  assert.ok(chat.json['alignment'].warnings.some((warning: { code: string, message: string }) =>
    warning.code === 'ensemble_disagreement' && /on 3 of 3 answers/.test(warning.message)))
})

test('a remote scorer steers best-of-n, in as few requests as the candidates end together', async () => {
  remote.asked.length = 0
  const { status, json } = await post('/v1/chat/completions', {
    model: 'tiny',
    messages: [{ role: 'user', content: 'say' }],
    max_tokens: 6,
    ignore_eos: true,
    alignment: { strategy: 'best_of_n', num_candidates: 4, reward: 'far', return_candidates: true }
  })
  assert.equal(status, 200, JSON.stringify(json))
  const lengths = json['alignment'].candidates.map(({ text }: { text: string }) => text.length)
  assert.equal(json['choices'][0].alignment.reward, Math.max(...lengths))
  assert.equal(remote.asked.length, 1)
  assert.equal(remote.asked[0]!['text_2'].length, 4)
})

test('a remote scorer that fails ends its own request, or leaves the choice to the policy and says so; the next one ' +
  'is served', async () => {
  const ask = (reward: string): ReturnType<typeof post> => post('/v1/chat/completions', {
    model: 'tiny',
    messages: [{ role: 'user', content: 'say' }],
    max_tokens: 4,
    ignore_eos: true,
    alignment: { strategy: 'best_of_n', num_candidates: 3, reward }
  })
  const faults: ReadonlyArray<readonly [NonNullable<typeof fault>, RegExp]> = [
    [(_body, response) => { response.statusCode = 500; return 'traceback' }, /status 500/],
    [() => '{"data":[{"score":NaN},{"score":NaN},{"score":NaN}]}', /JSON; got/],
    [() => '{"data":[{"score":1e999},{"score":1},{"score":2}]}', /one finite number/],
    [() => ({ data: [{ score: 1 }] }), /data, a list of 3/],
    [(_body, _response, request) => { request.socket.destroy(); return undefined }, /unreachable/]
  ]
  for (const [what, message] of faults) {
    fault = what
    const failed = await ask('far')
    assert.deepEqual([failed.status, failed.json['error'].code], [502, 'scorer_failed'])
    assert.match(failed.json['error'].message, /reward "far": the remote scorer /)
    assert.match(failed.json['error'].message, message)
    const lenient = await ask('far-lenient')
    assert.equal(lenient.status, 200)
    assert.equal(lenient.json['choices'][0].alignment.reward, 0)
    assert.match(lenient.json['alignment'].warnings[0].message, /; 3 of 3 answers/)
    fault = null
    assert.equal((await ask('far')).status, 200)
  }
  const { sequences, runningRequests } = await engineStats(server)
  assert.deepEqual([sequences, runningRequests], [0, 0])
})

test('/v1/score speaks vLLM’s shape', async () => {
  const one = await post('/v1/score', { model: 'otter', text_1: 'say', text_2: ['an otter', 'a seal'] })
  assert.deepEqual(one.json['data'],
    [{ index: 0, object: 'score', score: 1 }, { index: 1, object: 'score', score: -1 }])
  assert.match(one.json['id'], /^score-/)
  assert.deepEqual([one.json['object'], one.json['model']], ['list', 'otter'])
  assert.ok(one.json['usage'].total_tokens > 0 && one.json['created'] > 0)
  const paired = await post('/v1/score', { model: 'wave', text_1: ['say', 'tell'], text_2: ['x', 'x'] })
  assert.equal(paired.json['data'].length, 2)
})

test('/v1/rerank speaks Jina’s shape, best first', async () => {
  const documents = ['a seal', 'an otter', { text: 'two otter' }]
  const { json } = await post('/v1/rerank', { model: 'otter', query: 'animals', documents, top_n: 2 })
  assert.deepEqual(json['results'], [{ index: 1, document: { text: 'an otter' }, relevance_score: 1 },
    { index: 2, document: { text: 'two otter' }, relevance_score: 1 }])
  const bare = await post('/v1/rerank', { model: 'otter', query: 'animals', documents, return_documents: false })
  assert.deepEqual(bare.json['results'].map((result: object) => Object.keys(result)),
    [['index', 'relevance_score'], ['index', 'relevance_score'], ['index', 'relevance_score']])
})

test('rewards are listed and told with what is known of them, without weights and addresses', async () => {
  const list = (await get('/v1/rewards')).json['data'] as Array<{ id: string, kind: string }>
  assert.deepEqual(list.map(({ id, kind }) => `${id}: ${kind}`), ['far: remote', 'far-lenient: remote', 'late: head',
    'length: rule', 'otter: rule', 'positive_reader: classifier', 'wave: head', 'waves: ensemble'])
  const { status, json } = await get('/v1/rewards/length')
  assert.equal(status, 200)
  assert.deepEqual(json['members'], ['outcome', 'prefix'])
  assert.ok(json['statistics'].outcome.normalization.std > 0)
  for (const name of ['wave', 'far']) {
    assert.ok(!JSON.stringify((await get(`/v1/rewards/${name}`)).json).match(/http|weights/))
  }
  const missing = await get('/v1/rewards/none')
  assert.deepEqual([missing.status, missing.json['error'].code], [404, 'reward_not_found'])
})

/** [what, path, body, status, code, param, what the message says] */
const refused: ReadonlyArray<readonly [string, string, unknown, number, string, string, RegExp]> = [
  ['no reward', '/v1/rewards/score', { input: [pair('a')] }, 400, 'invalid_request', 'reward',
    /or rewards must be given, not both; got nothing/],
  ['an unknown reward', '/v1/rewards/score', { reward: 'nice', input: [pair('a')] }, 404, 'reward_not_found', 'rewards',
    /"nice".*otter/],
  ['an unknown model', '/v1/rewards/score', { model: 'x', reward: 'otter', input: [pair('a')] }, 404, 'model_not_found',
    'model', /"x" does not exist/],
  ['no input', '/v1/rewards/score', { reward: 'otter', input: [] }, 400, 'invalid_request', 'input',
    /a list of 1 to 1024 items; got \[\]/],
  ['a prompt without answer', '/v1/rewards/score', { reward: 'otter', input: [{ prompt: 'a' }] }, 400,
    'invalid_request', 'input[0].answer', /must be given with prompt/],
  ['prompt and messages', '/v1/rewards/score',
    { reward: 'otter', input: [{ prompt: 'a', messages: [{ role: 'user', content: 'a' }], answer: 'b' }] }, 400,
    'invalid_request', 'input[0]', /either prompt or messages/],
  ['a conversation that ends in a question', '/v1/rewards/score',
    { reward: 'otter', input: [{ messages: [{ role: 'user', content: 'a' }] }] }, 400, 'invalid_request',
    'input[0].messages', /must end in an answer of the assistant/],
  ['prefixes of the outcome member', '/v1/rewards/score',
    { reward: 'otter', member: 'outcome', every: 2, input: [pair('a')] }, 400, 'invalid_request', 'every',
    /needs the prefix member; got 2/],
  ['prefixes by a reward without prefix member', '/v1/rewards/score', { reward: 'late', every: 2, input: [pair('a')] },
    400, 'reward_scope_mismatch', 'rewards', /has no prefix member \(it has: outcome\)$/],
  ['more prefixes than can be listed', '/v1/rewards/score', {
    rewards: Array.from({ length: 16 }, () => ({ name: 'wave' })),
    every: 1,
    input: Array.from({ length: 8 }, () => pair('x'.repeat(300)))
  }, 400, 'invalid_request', 'every', /must be larger, about 2: .* 32768 scores/],
  ['an answer longer than the context', '/v1/rewards/score',
    { reward: 'wave', input: [pair('a'), pair('x'.repeat(600))] }, 400, 'context_length_exceeded', 'input[1]',
    /answer of item 1 have \d+ and 600/],
  ['more than the operator allows', '/v1/rewards/score',
    { reward: 'wave', input: Array.from({ length: 20 }, () => pair('x'.repeat(300))) }, 400, 'budget_exceeded', 'input',
    /4096 tokens scored \(max-tokens-per-request\)/],
  ['an unknown field', '/v1/rewards/score', { reward: 'otter', inputs: [] }, 400, 'invalid_request', 'inputs',
    /did you mean input\?/],
  ['texts that do not pair', '/v1/score', { model: 'otter', text_1: ['a', 'b'], text_2: ['a', 'b', 'c'] }, 400,
    'invalid_request', 'text_1', /one text, or as many as text_2, 3; got 2/],
  ['a model that is no reward', '/v1/score', { model: 'tiny', text_1: 'a', text_2: 'b' }, 404, 'reward_not_found',
    'model', /"tiny"/],
  ['no documents', '/v1/rerank', { model: 'otter', query: 'a', documents: [] }, 400, 'invalid_request', 'documents',
    /a list of 1 to 1024 items; got \[\]/],
  ['a field of vLLM that is not honoured', '/v1/score',
    { model: 'otter', text_1: 'a', text_2: 'b', truncate_prompt_tokens: 5 }, 400, 'invalid_request',
    'truncate_prompt_tokens', /is not supported/]
]

for (const [what, path, body, status, code, param, message] of refused) {
  test(`${what} is refused by ${path} with its field, rule and value`, async () => {
    const { status: given, json } = await post(path, body)
    assert.deepEqual([given, json['error'].code, json['error'].param], [status, code, param])
    assert.match(json['error'].message, message)
  })
}
