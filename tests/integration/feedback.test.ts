/**
 * Feedback over HTTP on a tiny model: what is stored and what is not, verdicts, a reward fitted from them, deletion,
 * roles.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const root = mkdtempSync(join(tmpdir(), 'fairlead-said-'))
const dataDir = join(root, 'data')
after(() => { rmSync(root, { recursive: true }) })

let server: TinyServer
before(async () => { server = await tinyServer({ dataDir }) })
after(() => server.close())

type Json = Record<string, any>
async function call (
  path: string, method = 'GET', headers: Record<string, string> = {}, at = server
): Promise<{ status: number, json: Json }> {
  const response = await fetch(`${at.address}${path}`, { method, headers })
  return { status: response.status, json: await response.json() as Json }
}

const chat = (content: string, more: Json = {}): Json => ({
  model: 'tiny',
  messages: [{ role: 'user', content }],
  max_tokens: 6,
  ignore_eos: true,
  logit_bias: { 2: -100 },
  ...more
})

test('nothing is written for chats that do not say store: true', async () => {
  const { json } = await server.post('/v1/chat/completions', chat('a secret'))
  await server.post('/v1/chat/completions', chat('a secret', { store: false }))
  assert.equal(existsSync(dataDir), false)
  assert.equal((await call(`/v1/chat/completions/${json['id'] as string}`)).status, 404)
  const refused = await server.post('/v1/feedback', { completion_id: json['id'], label: 1 })
  assert.deepEqual([refused.status, refused.json['error'].code], [404, 'not_found'])
  assert.match(refused.json['error'].message, /it was not stored \(store: true\)/)
  for (const path of ['/v1/completions']) {
    assert.equal((await server.post(path, { model: 'tiny', prompt: 'a', max_tokens: 2, store: true })).status, 400)
  }
})

test('stored chats are there as they were answered, streamed ones too', async () => {
  const { json } = await server.post('/v1/chat/completions', chat('one', { store: true, n: 2 }))
  assert.deepEqual((await call(`/v1/chat/completions/${json['id'] as string}`)).json, json)
  const frames = await server.stream('/v1/chat/completions', chat('two', { store: true }))
  const { json: stored } = await call(`/v1/chat/completions/${frames[0]!['id'] as string}`)
  assert.equal(stored['choices'][0].message.content,
    frames.map(frame => frame['choices'][0]?.delta.content ?? '').join(''))
})

test('verdicts are kept with the texts they are about', async () => {
  const { json: { id, choices } } =
    await server.post('/v1/chat/completions', chat('three', { store: true, n: 2, seed: 1 }))
  const [first, second] = choices.map((choice: Json) => choice['message'].content)
  const say = async (said: Json): Promise<Json> => {
    const { status, json } = await server.post('/v1/feedback', { completion_id: id, dataset: 'verdicts', ...said })
    assert.equal(status, 200, JSON.stringify(json))
    return json
  }
  const pair = await say({ chosen: 1, rejected: 0 })
  assert.deepEqual([pair['kind'], pair['chosen'], pair['rejected'], pair['messages']],
    ['pairs', second, first, [{ role: 'user', content: 'three' }]])
  assert.equal((await say({ chosen: 'A better one.', rejected: 0 }))['chosen'], 'A better one.')
  assert.deepEqual([(await say({ label: 0 }))['answer'], (await say({ score: 0.3, choice: 1 }))['answer']],
    [first, second])
  const { json: page } = await call('/v1/feedback?dataset=verdicts&limit=3')
  assert.deepEqual([page['data'].map((one: Json) => one['kind']), page['has_more'], page['data'][0]],
    [['pairs', 'pairs', 'labels'], true, pair])
  const { json: rest } = await call(`/v1/feedback?dataset=verdicts&after=${page['data'][2].id as string}`)
  assert.deepEqual([rest['data'].map((one: Json) => one['kind']), rest['has_more']], [['scores'], false])

  for (const [said, param] of [
    [{}, 'label'],
    [{ label: 1, score: 2 }, 'label'],
    [{ chosen: 1 }, 'rejected'],
    [{ chosen: 0, rejected: 2 }, 'rejected'],
    [{ chosen: 1, rejected: 1 }, 'rejected'],
    [{ label: 2 }, 'label'],
    [{ label: 1, dataset: 'a b' }, 'dataset'],
    [{ label: 1, thumb: true }, 'thumb']
  ] as const) {
    const { status, json } = await server.post('/v1/feedback', { completion_id: id, ...said })
    assert.deepEqual([status, json['error'].code, json['error'].param], [400, 'invalid_request', param])
  }
  const both = await server.post('/v1/rewards/fit', { name: 'x', feedback: { dataset: 'verdicts' } })
  assert.match(both.json['error'].message,
    /feedback\.kind .*"verdicts".*pairs, labels, scores/)
})

test('a reward is fitted from feedback, and used', async () => {
  // Each answer against a text that a person wrote, which has many z.
  for (let i = 0; i < 24; i++) {
    const { json } = await server.post('/v1/chat/completions', chat(`write ${i}`, { store: true, seed: i }))
    assert.equal((await server.post('/v1/feedback',
      { completion_id: json['id'], dataset: 'taste', chosen: `zzz zz zzzz ${i}`, rejected: 0 })).status, 200)
  }
  const { status, json } =
    await server.post('/v1/rewards/fit', { name: 'taste', feedback: { dataset: 'taste' }, layers: [1] })
  assert.equal(status, 200, JSON.stringify(json))
  assert.deepEqual([json['fit'].objective, json['fit'].data, json['fit'].examples + json['metrics'].examples],
    ['bradley_terry', 'feedback: taste', 24])
  const { json: scored } = await server.post('/v1/rewards/score',
    { reward: 'taste', input: [{ prompt: 'write 3', answer: 'zzz zz zzzz 3' }, { prompt: 'write 3', answer: 'qK#b' }] })
  assert.ok(scored['data'][0].reward > scored['data'][1].reward)
  const twice = await server.post('/v1/rewards/fit', { name: 'y', feedback: {}, examples: [] })
  assert.deepEqual([twice.json['error'].code, twice.json['error'].param], ['invalid_request', 'feedback'])
})

test('feedback and completions survive a restart, and are gone when deleted', async () => {
  await server.close()
  server = await tinyServer({ dataDir })
  const { json: page } = await call('/v1/feedback?dataset=taste&limit=1')
  const { id, completion_id: completionId } = page['data'][0]
  assert.deepEqual((await call(`/v1/feedback/${id as string}`, 'DELETE')).json,
    { id, object: 'feedback', deleted: true })
  assert.equal((await call(`/v1/feedback/${id as string}`, 'DELETE')).status, 404)
  assert.deepEqual((await call(`/v1/chat/completions/${completionId as string}`, 'DELETE')).json,
    { id: completionId, object: 'chat.completion.deleted', deleted: true })
  assert.equal((await call(`/v1/chat/completions/${completionId as string}`)).status, 404)
  // Its prompt was "write 0": the text is nowhere in the file.
  assert.ok(!readFileSync(join(dataDir, 'feedback.sqlite')).includes('zzz zz zzzz 0'))
})

const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })

test('callers see their own stored chats; feedback needs the role admin', async () => {
  const [one, two, owner] = ['key-of-the-first-', 'key-of-the-second', 'key-of-the-owner-']
  const guarded = await tinyServer({ dataDir: join(root, 'guarded'), apiKeys: `${one},${two}`, adminKeys: owner })
  try {
    const { json: { id } } = await guarded.post('/v1/chat/completions', chat('mine', { store: true }), bearer(one))
    const statuses = await Promise.all([one, two, owner].map(async key =>
      (await call(`/v1/chat/completions/${id as string}`, 'GET', bearer(key), guarded)).status))
    assert.deepEqual(statuses, [200, 404, 200])
    assert.equal((await guarded.post('/v1/feedback', { completion_id: id, label: 1 }, bearer(one))).status, 403)
    assert.equal((await guarded.post('/v1/feedback', { completion_id: id, label: 1 }, bearer(owner))).status, 200)
    assert.equal((await call('/v1/feedback', 'GET', bearer(one), guarded)).status, 403)
    assert.equal((await call(`/v1/chat/completions/${id as string}`, 'DELETE', bearer(two), guarded)).status, 404)
    assert.equal((await call(`/v1/chat/completions/${id as string}`, 'DELETE', bearer(one), guarded)).status, 200)
  } finally {
    await guarded.close()
  }
})

test('a chat of more than its key may store is refused before it is generated', async () => {
  const small = await tinyServer({ dataDir: 'FOLDER/small', storedCompletionBytesPerKey: '2000' })
  const chat = async (text: string): Promise<{ status: number, json: Record<string, any> }> =>
    await small.post('/v1/chat/completions',
      { model: 'tiny', max_tokens: 2, store: true, messages: [{ role: 'user', content: text }] })
  const [first, second, long] = [await chat('hi'), await chat('x'.repeat(400)), await chat('x'.repeat(2000))]
  assert.deepEqual([first.status, second.status], [200, 200])
  assert.deepEqual([long.status, long.json['error'].code], [507, 'storage_failed'])
  for (let index = 0; index < 4; index++) assert.equal((await chat('hi')).status, 200)
  const found = await fetch(`${small.address}/v1/chat/completions/${first.json['id']}`)
  assert.equal(found.status, 404)
  await small.close()
})

test('a stored chat stays its key’s own when keys change their places', async () => {
  const [one, two] = ['key-of-the-first-', 'key-of-the-second']
  const keyed = (apiKeys: string): Promise<TinyServer> => tinyServer({ dataDir: join(root, 'moved'), apiKeys })
  const first = await keyed(`${one},${two}`)
  const { json: { id } } =
    await first.post('/v1/chat/completions', chat('mine', { store: true }), bearer(one)).finally(() => first.close())
  for (const apiKeys of [`${two},${one}`, two]) {
    const moved = await keyed(apiKeys)
    try {
      assert.equal((await call(`/v1/chat/completions/${id as string}`, 'GET', bearer(two), moved)).status, 404)
      if (apiKeys.includes(one)) {
        assert.equal((await call(`/v1/chat/completions/${id as string}`, 'GET', bearer(one), moved)).status, 200)
      }
    } finally {
      await moved.close()
    }
  }
})

test('where nothing can be stored, a chat that asks for it is refused before it is generated; others are ' +
  'answered', async () => {
  const blocked = join(root, 'blocked')
  writeFileSync(blocked, '')
  const other = await tinyServer({ dataDir: join(blocked, 'data') })
  try {
    const { status, json } = await other.post('/v1/chat/completions', chat('hi', { store: true }))
    assert.deepEqual([status, json['error'].code], [507, 'storage_failed'])
    assert.equal((await other.post('/v1/chat/completions', chat('hi'))).status, 200)
  } finally {
    await other.close()
  }
})
