/**
 * Fitting over HTTP on a tiny model: from 500 pairs to a guided chat, progress, restarts, deletion, and what goes
 * wrong.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const dataDir = mkdtempSync(join(tmpdir(), 'fairlead-fitted-'))
after(() => { rmSync(dataDir, { recursive: true }) })
const kept = (): string[] => readdirSync(join(dataDir, 'rewards'))

let server: TinyServer
before(async () => { server = await tinyServer({ dataDir }) })
after(() => server.close())

type Json = Record<string, any>
const get = async (path: string): Promise<{ status: number, json: Json }> => {
  const response = await fetch(`${server.address}${path}`)
  return { status: response.status, json: await response.json() as Json }
}
const remove = async (name: string): Promise<{ status: number, json: Json }> => {
  const response = await fetch(`${server.address}/v1/rewards/${name}`, { method: 'DELETE' })
  return { status: response.status, json: await response.json() as Json }
}

/** Answers that hold many of a letter are good: the tiny model's hidden states carry which bytes were read. */
const word = (seed: number, letter: string): string => Array.from({ length: 6 }, (_, i) =>
  (seed * 7 + i * 5) % 3 === 0 ? String.fromCharCode(98 + (seed + i) % 20) : letter).join('')
const pairs = (count: number): Json[] => Array.from({ length: count },
  (_, i) => ({ prompt: `say ${i % 100}`, chosen: `${word(i, 'z')} ${i}`, rejected: `${word(i, 'a')} ${i}` }))
const guided = (reward: string, strategy: Json = { strategy: 'best_of_n', num_candidates: 8 }): Json => ({
  model: 'tiny',
  messages: [{ role: 'user', content: 'say 3' }],
  max_tokens: 12,
  seed: 1,
  alignment: { ...strategy, reward, return_candidates: true }
})

test('a head fitted from 500 pairs guides the next chat', async () => {
  const fit = await server.post('/v1/rewards/fit',
    { name: 'zeal', description: 'Many z.', examples: pairs(500), layers: [1], licence: 'none', data: 'made words' })
  assert.equal(fit.status, 200, JSON.stringify(fit.json))
  const { json: reward } = fit
  assert.deepEqual([reward['id'], reward['kind'], reward['members'], reward['deletable']],
    ['zeal', 'head', ['outcome', 'prefix'], true])
  assert.deepEqual([reward['fit'].objective, reward['fit'].examples, reward['fit'].data, reward['metrics'].measure],
    ['bradley_terry', 400, 'made words', 'pair_accuracy'])
  assert.ok(reward['metrics'].by_prefix.at(-1).accuracy > 0.9, JSON.stringify(reward['metrics']))

  const answered = await server.post('/v1/chat/completions', guided('zeal'))
  assert.equal(answered.status, 200, JSON.stringify(answered.json))
  const { alignment, choices } = answered.json
  assert.equal(alignment.rewards_used[0].version, reward['version'])
  assert.equal(choices[0].alignment.reward, Math.max(...alignment.candidates.map((one: Json) => one['reward'])))
  assert.equal(
    (await server.post('/v1/chat/completions', guided('zeal', { strategy: 'token_guidance', strength: 2 }))).status, 200
  )

  const { json: scored } = await server.post('/v1/rewards/score',
    { reward: 'zeal', input: [{ prompt: 'say 3', answer: 'zzzzzz 3' }, { prompt: 'say 3', answer: 'aaaaaa 3' }] })
  assert.ok(scored['data'][0].reward > scored['data'][1].reward + 1, JSON.stringify(scored['data']))
  assert.ok((await get('/v1/rewards')).json['data'].some((one: Json) => one['id'] === 'zeal'))
  assert.deepEqual(kept(), ['zeal.json'])
})

test('progress is streamed, and the reward comes last', async () => {
  const frames = await server.stream('/v1/rewards/fit', {
    name: 'panel',
    examples: pairs(40),
    layers: [1],
    ensemble: { heads: 8, uncertainty: 'laplace', combine: 'lcb', penalty: 0.5 }
  })
  const phases = frames.slice(0, -1).map(frame => frame['phase'])
  assert.deepEqual([...new Set(phases)], ['queued', 'features', 'pool', 'fit'])
  assert.ok(frames.slice(0, -1).every(({ object, done, total }) =>
    object === 'reward.fit.progress' && done >= 0 && done <= total))
  assert.deepEqual([frames.at(-1)!['id'], frames.at(-1)!['object'], frames.at(-1)!['kind']],
    ['panel', 'reward', 'ensemble'])
  assert.equal(frames.at(-1)!['fit'].uncertainty, 'laplace')
  const { json } = await server.post('/v1/chat/completions', guided('panel'))
  assert.ok(json['choices'][0].alignment.rewards.panel.std > 0)
  // Random text is nothing like the pairs: the heads disagree on it beyond their bound, and the response says so.
  const { json: strange } = await server.post('/v1/rewards/score', {
    reward: 'panel',
    input: Array.from({ length: 20 },
      (_, i) => ({ prompt: 'say 3', answer: String.fromCharCode(33 + 4 * i).repeat(30) }))
  })
  assert.deepEqual(strange['warnings'].map((one: Json) => one['code']), ['ensemble_disagreement'])
})

test('a Q-head is fitted with the head, with progress of its own, and guides tokens', async () => {
  const frames = await server.stream('/v1/rewards/fit',
    { name: 'foretelling', examples: pairs(40), layers: [1], q_head: true })
  assert.deepEqual([...new Set(frames.slice(0, -1).map(frame => frame['phase']))],
    ['queued', 'features', 'pool', 'fit', 'next_token'])
  const reward = frames.at(-1)!
  assert.deepEqual([reward['kind'], reward['members']], ['head', ['outcome', 'prefix', 'next_token']])
  assert.ok(Number.isFinite(reward['next_token'].metrics.rank_correlation), JSON.stringify(reward['next_token']))
  const guide = async (name: string): ReturnType<TinyServer['post']> => await server.post('/v1/chat/completions',
    guided(name, { strategy: 'token_guidance', method: 'q_head', strength: 2 }))
  const { status, json } = await guide('foretelling')
  assert.equal(status, 200, JSON.stringify(json))
  assert.equal(json['alignment'].resolved.source, 'next_token')
  assert.equal((await guide('zeal')).status, 400)
})

test('labels and scores are fitted too, with test data of their own', async () => {
  const labels = pairs(30).flatMap(({ prompt, chosen, rejected }) =>
    [{ prompt, answer: chosen, label: 1 }, { prompt, answer: rejected, label: 0 }])
  const { json: logistic } = await server.post('/v1/rewards/fit',
    { name: 'thumbs', examples: labels, test: labels, layers: [1], prefixes: false })
  assert.deepEqual([logistic['fit'].objective, logistic['metrics'].examples, logistic['members']],
    ['logistic', 60, ['outcome']])
  const scores = labels.map(({ prompt, answer, label }, index) => ({ prompt, answer, score: label + index / 1000 }))
  const { json: regression } = await server.post('/v1/rewards/fit', { name: 'grades', examples: scores, layers: [1] })
  assert.equal(regression['fit'].objective, 'regression')
})

test('a name that is taken is refused unless the reward is to be replaced, and one of the box always', async () => {
  const again = { name: 'panel', examples: pairs(20), layers: [1] }
  const refused = await server.post('/v1/rewards/fit', again)
  assert.deepEqual([refused.status, refused.json['error'].param], [400, 'name'])
  assert.equal(refused.json['error'].param, 'name')
  const { version } = (await get('/v1/rewards/panel')).json
  const { json } = await server.post('/v1/rewards/fit', { ...again, replace: true })
  assert.equal(json['kind'], 'head')
  assert.notEqual(json['version'], version)
  assert.equal((await get('/v1/rewards/panel')).json['version'], json['version'])
  const box = await server.post('/v1/rewards/fit', { ...again, name: 'length', replace: true })
  assert.equal(box.json['error'].param, 'name')
})

test('what was fitted is there after a restart; what was deleted is not', async () => {
  const { json: before } = await get('/v1/rewards/zeal')
  assert.deepEqual((await remove('thumbs')).json, { id: 'thumbs', object: 'reward', deleted: true })
  assert.equal((await server.post('/v1/chat/completions', guided('thumbs'))).status, 404)
  await server.close()
  server = await tinyServer({ dataDir })
  assert.deepEqual((await get('/v1/rewards/zeal')).json, before)
  assert.equal((await get('/v1/rewards/thumbs')).status, 404)
  assert.equal((await server.post('/v1/chat/completions', guided('zeal'))).status, 200)
  assert.equal((await remove('thumbs')).status, 404)
  const box = await remove('length')
  assert.deepEqual([box.status, box.json['error'].code], [403, 'permission_denied'])
})

const opposed = (count: number): Json[] =>
  pairs(count).map(({ prompt, chosen, rejected }) => ({ prompt, chosen: rejected, rejected: chosen }))

test('a reward fitted with directions is adapted to a user, whose reward is one like any other', async () => {
  // Half of the people like what the other half dislikes: one head cannot please both.
  const divided = [...pairs(30), ...opposed(60).slice(30)]
  const { status, json: broad } =
    await server.post('/v1/rewards/fit', { name: 'broad', examples: divided, layers: [1], directions: 4 })
  assert.equal(status, 200, JSON.stringify(broad))
  const adapted =
    await server.post('/v1/rewards/broad/adapt', { name: 'zoe', description: 'What Zoe likes.', examples: pairs(5) })
  assert.equal(adapted.status, 200, JSON.stringify(adapted.json))
  const { adaptation } = adapted.json
  assert.deepEqual([adaptation.from, adaptation.version, adaptation.pairs, adapted.json['members']],
    ['broad', broad['version'], 5, ['outcome', 'prefix']])
  assert.ok(['adapted', 'single', 'random_heads'].every(name =>
    adaptation.leave_one_out[name] >= 0 && adaptation.leave_one_out[name] <= 1))
  await server.post('/v1/rewards/broad/adapt', { name: 'ada', examples: opposed(5) })
  const margin = async (reward: string): Promise<number> => {
    const { json } = await server.post('/v1/rewards/score',
      { reward, input: [{ prompt: 'say 7', answer: 'zzzzzz 7' }, { prompt: 'say 7', answer: 'aaaaaa 7' }] })
    return json['data'][0].reward - json['data'][1].reward
  }
  assert.ok(await margin('zoe') > 0 && await margin('ada') < 0)
  assert.equal(
    (await server.post('/v1/chat/completions', guided('zoe', { strategy: 'token_guidance', strength: 1 }))).status, 200
  )

  const refused: ReadonlyArray<readonly [string, Json, number, RegExp]> = [
    ['broad', { name: 'zoe', examples: pairs(2) }, 400, /name "zoe"/],
    ['zoe', { name: 'x', examples: pairs(2) }, 400, /reward "zoe" has no directions to adapt/],
    ['length', { name: 'x', examples: pairs(2) }, 400, /reward "length" must be a head; it is of kind rule/],
    ['nobody', { name: 'x', examples: pairs(2) }, 404, /reward "nobody" does not exist/],
    ['broad', { name: 'x', examples: [{ answer: 'a', label: 1 }] }, 400, /examples must be pairs/],
    ['broad', { name: 'x', examples: pairs(101) }, 400, /examples must be a list of at most 100 items; got 101/]
  ]
  for (const [id, body, code, message] of refused) {
    const answered = await server.post(`/v1/rewards/${id}/adapt`, body)
    assert.equal(answered.status, code)
    assert.match(answered.json['error'].message, message)
  }
  for (const [more, message] of [[{ directions: 65 }, /directions must be an integer from 1 to 64; got 65/],
    [{ directions: 2, ensemble: {} }, /an ensemble/]] as const) {
    assert.match(
      (await server.post('/v1/rewards/fit', { name: 'x', examples: pairs(20), ...more })).json['error'].message, message
    )
  }
})

test('what to label next: the pairs that are told apart worst and differ most, none twice', async () => {
  const open = (answers: readonly string[], i: number): Json => ({ prompt: `say ${i}`, answers })
  const candidates = [open(['zzzz 1', 'zzzz 1'], 1),
    ...Array.from({ length: 6 }, (_, i) => open([`${word(i, 'q')} x`, `${word(i + 1, 'k')} y y`], i))]
  const { status, json } = await server.post('/v1/rewards/broad/suggest', { candidates, labelled: pairs(3), count: 4 })
  assert.equal(status, 200, JSON.stringify(json))
  const indices = json['data'].map((one: Json) => one['index'])
  assert.equal(new Set(indices).size, 4)
  // Two equal answers teach nothing.
  assert.ok(!indices.includes(0))
  assert.ok(json['data'].every((one: Json, i: number) =>
    one['gain'] > 0 && (i === 0 || one['gain'] <= json['data'][i - 1].gain)))
  const bad = await server.post('/v1/rewards/broad/suggest', { candidates: [{ prompt: 'a', answers: ['b'] }] })
  assert.match(bad.json['error'].message, /candidates\[0\]\.answers must be a list of exactly 2 items/)
})

const twenty = pairs(20)
/** [body, field, message] */
const malformed: ReadonlyArray<readonly [Json, string, RegExp]> = [
  [{ name: 'x' }, 'examples', /examples.*got nothing/],
  [{ name: 'x', examples: [] }, 'examples', /got \[\]/],
  [{ name: 'x', examples: [...twenty, { prompt: 'p', chosen: 'a' }] }, 'examples[20]',
    /examples\[20\].*rejected.*got nothing/],
  [{ name: 'x', examples: [...twenty, 'text'] }, 'examples[20]', /example must be a JSON object; got "text"/],
  [{ name: 'x', examples: [{ answer: 'a', label: 2 }] }, 'examples[0]', /label must be 0 or 1; got 2/],
  [{ name: 'x', examples: twenty.slice(0, 5) }, 'examples', /at least 20 examples; got 5/],
  [{ name: 'x', examples: twenty, test: [{ answer: 'a', label: 1 }] }, 'test', /test data .*pairs/],
  [{ name: 'X', examples: twenty }, 'name', /lower-case letters.*got "X"/],
  [{ name: 'x', examples: twenty, layers: [9] }, 'layers', /layers must be from 0 to 2; got 9/],
  [{ name: 'x', examples: twenty, ensemble: { heads: 1 } }, 'ensemble.heads', /an integer from 2 to 32; got 1/],
  [{ name: 'x', examples: twenty, ensemble: { combine: 'min', penalty: 2 } }, 'ensemble.penalty',
    /belongs to uwo and lcb; got 2/],
  [{ name: 'x', examples: twenty, q_head: true, ensemble: {} }, 'q_head', /ensemble/],
  [{ name: 'x', examples: twenty, q_head: true, pooling: 'last' }, 'q_head', /pooling.*"last"/],
  [{ name: 'x', examples: twenty, q_head: true, prefixes: false }, 'q_head', /prefixes.*false/],
  [{ name: 'x', examples: twenty.map(one => ({ ...one, prompt: 'say' })), q_head: true }, 'q_head',
    /at least 10 .*got 1/],
  [{ name: 'x', examples: twenty, pairs: [] }, 'pairs', /pairs is not a field/],
  [{
    name: 'x', examples: [...twenty, { prompt: 'p', chosen: 'z'.repeat(600), rejected: 'a' }], max_answer_tokens: 600
  }, 'examples', /512 tokens/]
]

test('what cannot be fitted is refused with field, rule and value, and nothing is kept', async () => {
  const before = kept()
  for (const [body, param, message] of malformed) {
    const { status, json } = await server.post('/v1/rewards/fit', body)
    assert.deepEqual([status, json['error'].param], [400, param], JSON.stringify(json))
    assert.match(json['error'].message, message)
  }
  assert.deepEqual(kept(), before)
})

test('a fit is cancelled by leaving; the server goes on, and so does a fit that waited', async () => {
  const controller = new AbortController()
  const response = await fetch(`${server.address}/v1/rewards/fit`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    signal: controller.signal,
    body: JSON.stringify({
      name: 'left',
      examples: pairs(500).map(one => ({ ...one, prompt: `now ${one['prompt'] as string}` })),
      layers: [1],
      stream: true
    })
  })
  const reader = response.body!.getReader()
  await reader.read()
  const waiting = server.post('/v1/rewards/fit', { name: 'waited', examples: pairs(20), layers: [1] })
  controller.abort()
  await assert.rejects(reader.read())
  assert.equal((await waiting).status, 200)
  assert.equal((await get('/v1/rewards/left')).status, 404)
  assert.ok(!kept().includes('left.json'))
  const { sequences, runningRequests } = (await get('/ready')).json['engine']
  assert.deepEqual([sequences, runningRequests], [0, 0])
})

test('where rewards cannot be kept, a fit fails with what the disk says; what was there stays', async () => {
  // A file where the folder should be: nobody, root neither, can write below it.
  const blocked = join(dataDir, 'blocked')
  writeFileSync(blocked, '')
  const other = await tinyServer({ dataDir: join(blocked, 'data') })
  try {
    const { status, json } = await other.post('/v1/rewards/fit', { name: 'x', examples: twenty, layers: [1] })
    assert.deepEqual([status, json['error'].code], [507, 'storage_failed'])
    assert.match(json['error'].message, /rewards.*blocked.*: E/)
    assert.equal((await other.post('/v1/chat/completions', { ...guided('x'), alignment: null })).status, 200)
  } finally {
    await other.close()
  }
  // A folder where the file should be put: only the last step fails.
  const folder = join(dataDir, 'rewards', 'late.json')
  mkdirSync(folder)
  const late = await server.post('/v1/rewards/fit', { name: 'late', examples: twenty, layers: [1] })
  assert.deepEqual([late.status, late.json['error'].code], [507, 'storage_failed'])
  rmSync(folder, { recursive: true })
  assert.ok(kept().every(name => !name.endsWith('.part')), kept().join(', '))
  assert.equal((await get('/v1/rewards/zeal')).status, 200)
})

test('with keys, fitting and deleting need the role admin', async () => {
  const [reader, owner] = ['key-of-the-reader', 'key-of-the-owner-']
  const guarded = await tinyServer({ dataDir: join(dataDir, 'guarded'), apiKeys: reader, adminKeys: owner })
  try {
    const body = { name: 'mine', examples: twenty, layers: [1] }
    const as = (key: string) => guarded.post('/v1/rewards/fit', body, { authorization: `Bearer ${key}` })
    assert.deepEqual([(await as(reader)).status, (await as(owner)).status], [403, 200])
    const deletion = await fetch(`${guarded.address}/v1/rewards/mine`,
      { method: 'DELETE', headers: { authorization: `Bearer ${reader}` } })
    assert.equal(deletion.status, 403)
  } finally {
    await guarded.close()
  }
})
