/** Runs that the server keeps: who sees which, following one while it is written, deleting; and who calls. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { fold } from '../../src/journal/fold.js'
import { readJournal } from '../../src/journal/read.js'
import type { Entry } from '../../src/journal/entries.js'
import { startTinyServers } from '../helpers/tiny-server.js'

type Json = Record<string, any>

const start = startTinyServers()
const chat = { model: 'tiny', messages: [{ role: 'user', content: 'say the' }], max_tokens: 6, seed: 1 }
const [alice, bob, root] = ['alice-key-0123456789', 'bob-key-0123456789', 'root-key-0123456789']
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })
const keyLine = (name: string, key: string, more = ''): string =>
  `- {name: ${name}, sha256: ${createHash('sha256').update(key).digest('hex')}${more}}\n`
const keys = {
  'keys.yaml': keyLine('alice', alice, ', max_requests: 3, tokens_per_minute: 100000') + keyLine('bob', bob) +
    keyLine('root', root, ', role: admin')
}

test('the last runs are kept: their callers see their own, admins all, and nobody else any', async () => {
  const server = await start({ keptRuns: '3', apiKeysFile: 'FOLDER/keys.yaml' }, keys)
  assert.ok(server.said.some(line => /last 3 runs are kept in memory, prompts and answers included/.test(line)))
  const get = async (path: string, key: string, method = 'GET'): Promise<Json> =>
    (await fetch(`${server.address}${path}`, { method, headers: bearer(key) })).json() as Promise<Json>
  const ids: string[] = []
  for (const key of [alice, bob, alice, alice]) {
    const { headers, json } = await server.post('/v1/chat/completions', chat, bearer(key))
    const id = headers.get('x-fairlead-run')!
    ids.push(id)
    const own = await fetch(`${server.address}/v1/runs/${id}`, { headers: bearer(key) })
    assert.match(own.headers.get('content-type')!, /^application\/x-ndjson/)
    const { run } = readJournal(await own.text())
    assert.equal(run.candidates.get(0)!.text, json['choices'][0].message.content)
    assert.deepEqual([run.state, run.head!.id, run.done!.usage.completion_tokens],
      ['done', id, json['usage'].completion_tokens])
  }
  const listed = async (key: string): Promise<string[]> =>
    ((await get('/v1/runs', key))['data'] as Json[]).map(({ id }) => id as string)
  // The first made room for the fourth.
  assert.deepEqual(await listed(root), [ids[3], ids[2], ids[1]])
  assert.deepEqual(await listed(alice), [ids[3], ids[2]])
  assert.deepEqual(await listed(bob), [ids[1]])
  const { data: [{ bytes, created, milliseconds, ...shown }] } = await get('/v1/runs', bob)
  assert.deepEqual(shown, {
    id: ids[1], object: 'run', state: 'done', caller: 'bob', model: 'tiny', strategy: 'sample', rewards: [], tokens: 6
  })
  assert.ok(bytes > 100 && created > 0 && milliseconds >= 0)
  assert.equal((await get(`/v1/runs/${ids[2]}`, bob))['error'].code, 'not_found')
  assert.equal((await get(`/v1/runs/${ids[2]}`, bob, 'DELETE'))['error'].code, 'not_found')
  assert.deepEqual(await get(`/v1/runs/${ids[2]}`, root, 'DELETE'), { id: ids[2], object: 'run', deleted: true })
  assert.match((await get(`/v1/runs/${ids[2]}`, alice))['error'].message, /was deleted or evicted/)
})

test('what is kept folds to the texts of every endpoint: many prompts, choices, stop sequences', async () => {
  const server = await start({ keptRuns: '4' })
  const texts = async (headers: Headers): Promise<string[]> => {
    const runs = headers.get('x-fairlead-run')!.split(', ').map(async id => {
      const { run } = readJournal(await (await fetch(`${server.address}/v1/runs/${id}`)).text())
      return run.choices.map(({ index, characters }) => run.candidates.get(index!)!.text.slice(0, characters))
    })
    return (await Promise.all(runs)).flat()
  }
  const sampled = { max_tokens: 12, seed: 2, temperature: 1 }
  const legacy = await server.post('/v1/completions',
    { ...sampled, model: 'tiny', prompt: ['say the', 'to be'], n: 2, stop: ['e'] })
  assert.deepEqual(await texts(legacy.headers), (legacy.json['choices'] as Json[]).map(({ text }) => text as string))
  const response = await server.post('/v1/responses', { model: 'tiny', input: 'say the', max_output_tokens: 16 })
  assert.deepEqual(await texts(response.headers), [response.json['output'][0].content[0].text])
  const chats = await server.post('/v1/chat/completions', { ...chat, ...sampled, n: 3, stop: ['e'] })
  assert.deepEqual(await texts(chats.headers),
    (chats.json['choices'] as Json[]).map(({ message }) => message.content as string))
})

test('a run can be followed while it is written; one whose client leaves has failed', async () => {
  const server = await start({ keptRuns: '4' })
  const controller = new AbortController()
  const asked = await fetch(`${server.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...chat, max_tokens: 400, ignore_eos: true, stream: true }),
    signal: controller.signal
  })
  // Until something was drawn.
  const [reader, decoder] = [asked.body!.getReader(), new TextDecoder()]
  let seen = ''
  while (!/"content":"[^"]/.test(seen)) seen += decoder.decode((await reader.read()).value, { stream: true })
  const id = asked.headers.get('x-fairlead-run')!
  const following = await fetch(`${server.address}/v1/runs/${id}?follow=true&after=1`)
  controller.abort()
  const text = await following.text()
  const frames = text.split('\n\n').filter(frame => frame.startsWith('data: ')).map(frame => frame.slice(6))
  assert.equal(frames.at(-1), '[DONE]')
  const entries = frames.slice(0, -1).map(frame => JSON.parse(frame) as Entry)
  assert.ok(entries.every(entry => 't' in entry))
  const { state, fail, candidates } = fold(entries)
  assert.deepEqual([state, fail!.code], ['failed', 'request_cancelled'])
  assert.ok((candidates.get(0)?.tokens ?? 0) < 400)
})

test('a server that keeps no runs says so, and sends no journal that nobody asked for', async () => {
  const server = await start()
  const { headers } = await server.post('/v1/chat/completions', chat)
  assert.equal(headers.get('x-fairlead-run'), null)
  assert.deepEqual(await (await fetch(`${server.address}/v1/runs`)).json(), { object: 'list', data: [] })
  const missing = await (await fetch(`${server.address}/v1/runs/run_1`)).json() as Json
  assert.match(missing['error'].message, /this server keeps none \(kept-runs\)/)
  const keeping = await start({ keptRuns: '1' })
  const frames = await keeping.stream('/v1/chat/completions', chat)
  assert.ok(frames.every(frame => frame['journal'] === undefined))
})

test('callers are told who they are and what they may', async () => {
  const server = await start({ apiKeysFile: 'FOLDER/keys.yaml' }, keys)
  const ask = async (headers: Record<string, string>, to = server): Promise<Json> =>
    (await fetch(`${to.address}/v1/caller`, { headers })).json() as Promise<Json>
  assert.deepEqual(await ask(bearer(alice)), {
    object: 'caller',
    name: 'alice',
    role: 'inference',
    limits: { max_requests: 3, requests_per_minute: null, tokens_per_minute: 100000 }
  })
  assert.equal((await ask(bearer(root)))['role'], 'admin')
  assert.equal((await ask({}))['error'].code, 'invalid_api_key')
  const open = await ask({}, await start())
  assert.deepEqual([open['name'], open['role'], open['limits'].max_requests], ['anyone', 'admin', null])
})
