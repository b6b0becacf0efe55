/** Two servers that share a real PostgreSQL, behind a load balancer: what a client sees is one server. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import { Link } from './link.js'
import { PostgresServer } from './postgres-server.js'
import { Balancer, Home, Replica } from './replicas.js'

type Json = Record<string, any>

const [user, limited, admin] = ['a-key-of-a-user--', 'a-key-with-limits', 'a-key-of-an-admin']

const home = new Home()
const keysFile = join(home.folder, 'keys.json')
let postgres: PostgresServer
let link: Link
let balancer: Balancer
let replicas: readonly [Replica, Replica]

before(async () => {
  postgres = await PostgresServer.create()
  const url = new URL(await postgres.database())
  link = await Link.to(postgres.port)
  url.port = String(link.port)
  writeFileSync(keysFile, JSON.stringify([{
    name: 'limited', sha256: createHash('sha256').update(limited).digest('hex'), requests_per_minute: 6
  }]))
  const environment = {
    FAIRLEAD_STORE: String(url),
    FAIRLEAD_API_KEYS: user,
    FAIRLEAD_ADMIN_KEYS: admin,
    FAIRLEAD_API_KEYS_FILE: keysFile
  }
  replicas = [new Replica(home, environment), new Replica(home, environment)]
  // The first converts the model for both.
  for (const replica of replicas) await replica.start()
  balancer = await Balancer.start()
  balancer.use(...replicas)
})
after(async () => {
  balancer.close()
  for (const replica of replicas) await replica.stop('SIGKILL')
  link.close()
  await postgres.remove()
  home.remove()
})

interface Answer { readonly status: number, readonly headers: Headers, readonly json: Json }

async function ask (
  path: string, body: object | null = null, { key = user, at = balancer.address, method = body ? 'POST' : 'GET' } = {}
): Promise<Answer> {
  const response = await fetch(`${at}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...body ? { 'content-type': 'application/json' } : {} },
    ...body ? { body: JSON.stringify(body) } : {}
  })
  return { status: response.status, headers: response.headers, json: await response.json() as Json }
}

/** The answer to something that must work. */
async function get (...args: Parameters<typeof ask>): Promise<Json> {
  const { status, json } = await ask(...args)
  assert.equal(status, 200, `${args[0]}: ${JSON.stringify(json)}`)
  return json
}

const sampling = { model: 'tiny', ignore_eos: true, logit_bias: { 2: -100 } }
const response = (input: unknown, more: object = {}): object => ({ ...sampling, input, max_output_tokens: 8, ...more })
const chat = (content: string, more: object = {}): object =>
  ({ ...sampling, messages: [{ role: 'user', content }], max_tokens: 8, ...more })
const [first, second] = [() => ({ at: replicas[0].address }), () => ({ at: replicas[1].address })]

test('a conversation goes on at whichever replica is asked', async () => {
  const one = await get('/v1/responses', response('one'), first())
  const two = await get('/v1/responses', response('two', { previous_response_id: one['id'] }), second())
  const three = await get('/v1/responses', response('three', { previous_response_id: two['id'] }), first())
  assert.deepEqual(await get(`/v1/responses/${three['id'] as string}`, null, second()), three)
  const { data } = await get(`/v1/responses/${three['id'] as string}/input_items?order=asc`, null, second())
  assert.deepEqual((data as Json[]).map(({ role, content }) => [role, content[0].text]), [
    ['user', 'one'], ['assistant', one['output'][0].content[0].text], ['user', 'two'],
    ['assistant', two['output'][0].content[0].text], ['user', 'three']
  ])
  const item = { type: 'item_reference', id: one['output'][0].id }
  assert.equal((await ask('/v1/responses', response([item]), second())).status, 200)
  const other = await ask(`/v1/responses/${three['id'] as string}`, null, { ...second(), key: admin })
  assert.equal(other.status, 404, 'responses are their caller’s')
  assert.equal((await ask(`/v1/responses/${one['id'] as string}`, null, { ...second(), method: 'DELETE' })).status, 200)
  const gone = await ask('/v1/responses', response('x', { previous_response_id: one['id'] }), first())
  assert.deepEqual([gone.status, gone.json['error'].code], [400, 'previous_response_not_found'])
})

test('a response in the background is polled, read and cancelled at the other replica', async () => {
  const long = response('long', { background: true, stream: false, max_output_tokens: 1500 })
  const begun = await get('/v1/responses', long, first())
  const path = `/v1/responses/${begun['id'] as string}`
  assert.ok(['queued', 'in_progress'].includes((await get(path, null, second()))['status']))
  const streamed = await ask(`${path}?stream=true`, null, second())
  assert.deepEqual([streamed.status, streamed.json['error'].param], [400, 'stream'])
  assert.equal((await get(`${path}/cancel`, {}, second()))['status'], 'cancelled')
  while ((await get(path, null, first()))['status'] !== 'cancelled') await sleep(50)
  const short = await get('/v1/responses', response('short', { background: true }), first())
  const poll = (): Promise<Json> => get(`/v1/responses/${short['id'] as string}`, null, second())
  // It is as long as it may be.
  while ((await poll())['status'] !== 'incomplete') await sleep(50)
  assert.equal((await poll())['output'][0].content[0].type, 'output_text')
})

test('a rate holds for both together', async () => {
  const statuses: number[] = []
  for (let index = 0; index < 10; index++) {
    const { status, headers, json } = await ask('/tokenize', { prompt: 'a' }, { key: limited })
    statuses.push(status)
    if (index === 0) assert.equal(headers.get('x-ratelimit-limit-requests'), '6')
    if (status === 429) {
      assert.match(json['error'].message, /limited may have 6 requests a minute/)
      assert.ok(Number(headers.get('retry-after-ms')) > 0)
    }
  }
  // One comes back every ten seconds: on a slow machine a seventh may have.
  const had = statuses.filter(status => status === 200).length
  assert.ok(had >= 6 && had <= 8 && statuses.includes(429), String(statuses))
})

test('chats, feedback and a reward fitted from it count at the other replica with the next request', async () => {
  for (let index = 0; index < 24; index++) {
    const { id } =
      await get('/v1/chat/completions', chat(`write ${index}`, { store: true, seed: index, max_tokens: 6 }), first())
    assert.equal((await get(`/v1/chat/completions/${id as string}`, null, second()))['id'], id)
    await get('/v1/feedback', { completion_id: id, dataset: 'taste', chosen: `zzz zz ${index}`, rejected: 0 },
      { ...second(), key: admin })
  }
  await get('/v1/rewards/fit', { name: 'taste', feedback: { dataset: 'taste' }, layers: [1] },
    { ...first(), key: admin })
  const guided = chat('a', { alignment: { strategy: 'best_of_n', num_candidates: 2, reward: 'taste' } })
  assert.equal((await ask('/v1/chat/completions', guided, second())).status, 200)
  assert.equal((await ask('/v1/rewards/taste', null, { ...second(), key: admin, method: 'DELETE' })).status, 200)
  const { status, json } = await ask('/v1/chat/completions', guided, first())
  assert.deepEqual([status, json['error'].code], [404, 'reward_not_found'])
})

/** Asks in a row until it is told to end, each time something else. @returns how much was answered */
async function load (isOver: () => boolean): Promise<number> {
  let last: string | null = null
  let count = 0
  for (; !isOver(); count++) {
    const answered: Json = await get('/v1/responses', response(`turn ${count}`, { previous_response_id: last }))
    assert.equal(answered['store'], true)
    last = count % 8 === 7 ? null : answered['id'] as string
    const { id } = await get('/v1/chat/completions', chat('keep this', { store: true }))
    assert.equal((await get(`/v1/chat/completions/${id as string}`))['id'], id)
    const streamed = await fetch(`${balancer.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${user}`, 'content-type': 'application/json' },
      body: JSON.stringify(chat('stream', { stream: true, max_tokens: 60 }))
    })
    const text = await streamed.text()
    assert.ok(text.endsWith('data: [DONE]\n\n') && !text.includes('"error"'), text.slice(-300))
    const begun = await get('/v1/responses', response('later', { background: true, max_output_tokens: 40 }))
    let polled = begun
    while (['queued', 'in_progress'].includes(polled['status'])) {
      polled = await get(`/v1/responses/${begun['id'] as string}`)
    }
    assert.equal(polled['status'], 'incomplete', JSON.stringify(polled['error']))
  }
  return count
}

test('a rolling restart under load loses nothing', async t => {
  let isOver = false
  const loads = Array.from({ length: 3 }, () => load(() => isOver))
  const failed = Promise.race(loads.map(one => one.then(() => new Promise<never>(() => {}))))
  for (const [index, replica] of replicas.entries()) {
    // As an orchestrator does: no new requests, then SIGTERM.
    balancer.use(replicas[1 - index]!)
    assert.equal(await Promise.race([replica.stop(), failed]), 0)
    await Promise.race([replica.start(), failed])
    balancer.use(...replicas)
    await Promise.race([get('/ready', null, { at: replica.address }), failed])
  }
  isOver = true
  const counts = await Promise.all(loads)
  t.diagnostic(`${counts.reduce((sum, count) => sum + count, 0)} rounds of five requests and more, none lost`)
})

for (const [what, harm] of [['is cut off', () => { link.cut() }], ['hangs', () => { link.hang() }]] as const) {
  test(`while the store ${what}, what needs it is refused by name and all else is answered`, async () => {
    const kept = await get('/v1/responses', response('before'))
    harm()
    try {
      const away = async (...args: Parameters<typeof ask>): Promise<void> => {
        const { status, json, headers } = await ask(...args)
        assert.deepEqual([status, json['error'].code], [503, 'store_unavailable'], JSON.stringify(json))
        assert.ok(!JSON.stringify(json).includes('password'))
        assert.ok(headers.has('retry-after'))
      }
      await away('/v1/responses', response('after', { previous_response_id: kept['id'] }))
      await away('/v1/chat/completions', chat('x', { store: true }))
      await away('/tokenize', { prompt: 'a' }, { key: limited })
      await away('/v1/responses', response('x', { background: true }))
      const { store, status } = await get('/v1/responses', response('without'))
      assert.deepEqual([store, status], [false, 'incomplete'])
      await get('/v1/chat/completions', chat('x', { alignment: { num_candidates: 2, reward: 'length' } }))
      for (const { address } of replicas) {
        const ready = async (): Promise<Json> => get('/ready', null, { at: address })
        while ((await ready())['store'].status !== 'unavailable') await sleep(50)
        assert.match(await (await fetch(`${address}/metrics`, { headers: { authorization: `Bearer ${user}` } })).text(),
          /^fairlead_store_up 0$/m)
      }
    } finally {
      link.mend()
    }
    for (const { address } of replicas) {
      while ((await get('/ready', null, { at: address }))['store'].status !== 'ready') await sleep(50)
      await get(`/v1/responses/${kept['id'] as string}`, null, { at: address })
    }
  })
}

test('the database is started anew, and what was kept is there', async () => {
  const kept = await get('/v1/responses', response('before'))
  await postgres.stop()
  await postgres.start()
  for (const { address } of replicas) {
    while ((await ask(`/v1/responses/${kept['id'] as string}`, null, { at: address })).status === 503) await sleep(50)
    assert.equal((await get(`/v1/responses/${kept['id'] as string}`, null, { at: address }))['id'], kept['id'])
  }
})

test('a replica that starts without its store waits for it, and is not ready', async () => {
  link.cut()
  const replica = new Replica(home, {
    FAIRLEAD_STORE: `postgresql://fairlead:a%20password@127.0.0.1:${link.port}/test_1`
  })
  try {
    await replica.start(/^listening on/)
    while (!replica.said.some(line => /^The store .* cannot be used/.test(line))) await sleep(50)
    const { status, json } = await ask('/ready', null, { at: replica.address })
    assert.deepEqual([status, json['error'].code], [503, 'store_unavailable'])
    assert.equal((await ask('/health', null, { at: replica.address })).status, 200)
    link.mend()
    while ((await ask('/ready', null, { at: replica.address })).status !== 200) await sleep(50)
  } finally {
    link.mend()
    await replica.stop()
  }
})
