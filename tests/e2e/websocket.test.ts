import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import type { Server } from '../../src/server.js'
import { engineStats, model, postChat, readyServer, review } from '../helpers/server.js'

let server: Server
before(async () => { server = await readyServer({ maxRequestsPerSocket: '4' }) })
after(() => server.close())

type Event = Record<string, any>

/** A socket whose events are kept, and can be waited for. */
async function connect (): Promise<{
  socket: WebSocket,
  events: Event[],
  send: (message: unknown) => void,
  until: (found: (event: Event) => boolean) => Promise<Event>
}> {
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/stream`)
  const events: Event[] = []
  const waiting: Array<{ found: (event: Event) => boolean, resolve: (event: Event) => void }> = []
  socket.on('message', data => {
    const event = JSON.parse(String(data)) as Event
    events.push(event)
    for (const one of waiting) if (one.found(event)) one.resolve(event)
  })
  await once(socket, 'open')
  return {
    socket,
    events,
    send: message => { socket.send(typeof message === 'string' ? message : JSON.stringify(message)) },
    until: found => {
      const there = events.find(found)
      return there ? Promise.resolve(there) : new Promise(resolve => { waiting.push({ found, resolve }) })
    }
  }
}

const request = { model, messages: review, max_tokens: 12, seed: 3 }
const completed = (id: string) => (event: Event): boolean => event['type'] === 'completed' && event['id'] === id

test('several requests on one socket give what HTTP gives, each under its id', async () => {
  const { socket, events, send, until } = await connect()
  const alignment = { strategy: 'best_of_n', num_candidates: 4, reward: 'positive' }
  send({ type: 'create', id: 'plain', request })
  send({ type: 'create', id: 'guided', request: { ...request, alignment } })
  const [plain, guided] = await Promise.all([until(completed('plain')), until(completed('guided'))])
  for (const [event, body] of [[plain, request], [guided, { ...request, alignment }]] as const) {
    const { json } = await postChat(server, body)
    assert.equal(event['completion'].choices[0].message.content, json['choices'][0].message.content)
    const text = events.filter(one => one['type'] === 'chunk' && one['id'] === event['id'])
      .map(one => one['chunk'].choices[0]?.delta.content ?? '').join('')
    assert.equal(text, json['choices'][0].message.content)
  }
  const types = events.filter(one => one['id'] === 'guided').map(one => one['type'])
  assert.equal(types[0], 'created')
  assert.equal(types.filter(type => type === 'candidate').length, 4)
  assert.equal(types.filter(type => type === 'selection').length, 1)
  assert.equal(types.at(-1), 'completed')
  socket.close()
})

test('searches and guidance stream text that is never taken back', async () => {
  const { socket, events, send, until } = await connect()
  for (const [id, alignment] of Object.entries({
    beams: { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 4 }, reward: 'positive' },
    trees: { strategy: 'dvts', num_trees: 2, num_children: 2, step: { tokens: 4 }, reward: 'positive' },
    rejection: { strategy: 'speculative_rejection', num_candidates: 4, checkpoints: [4], reward: 'positive' },
    particles: {
      strategy: 'particle_filter', num_particles: 4, step: { tokens: 4 }, reward: 'positive', return_progress: true
    },
    segments: { strategy: 'segment_rejection', segment: { tokens: 4 }, reward: 'positive' },
    tokens: { strategy: 'token_guidance', candidates: { top_k: 5 }, reward: 'positive' }
  })) {
    send({ type: 'create', id, request: { ...request, alignment } })
    const { completion } = await until(completed(id))
    const text = events.filter(one => one['type'] === 'chunk' && one['id'] === id)
      .map(one => one['chunk'].choices[0]?.delta.content ?? '').join('')
    assert.equal(text, completion.choices[0].message.content)
  }
  assert.ok(events.some(event => event['type'] === 'pruned' && event['id'] === 'beams'))
  socket.close()
})

test('cancel ends one request, the other goes on', async () => {
  const { socket, send, until } = await connect()
  send({ type: 'create', id: 'long', request: { ...request, max_tokens: 4000, ignore_eos: true } })
  send({ type: 'create', id: 'short', request })
  await until(event => event['id'] === 'long' && event['type'] === 'chunk')
  send({ type: 'cancel', id: 'long' })
  const error = await until(event => event['id'] === 'long' && event['type'] === 'error')
  assert.equal(error['error'].code, 'request_cancelled')
  await until(completed('short'))
  socket.close()
})

test('a bad message is an error event, and the socket stays', async () => {
  const { socket, send, until } = await connect()
  send('{nonsense')
  assert.match((await until(event => event['type'] === 'error'))['error'].message, /must be JSON/)
  send({ type: 'create', id: 'bad', request: { ...request, temperature: 9 } })
  assert.equal((await until(event => event['id'] === 'bad'))['error'].param, 'temperature')
  send({ type: 'destroy', id: 'x' })
  assert.match((await until(event => event['id'] === 'x'))['error'].message,
    /type must be one of create, cancel; got "destroy"/)
  send({ type: 'cancel', id: 'nobody' })
  assert.match((await until(event => event['id'] === 'nobody'))['error'].message, /no request with id "nobody"/)
  for (let index = 0; index < 5; index++) {
    send({ type: 'create', id: `r${index}`, request: { ...request, max_tokens: 64, ignore_eos: true } })
  }
  assert.equal((await until(event => event['id'] === 'r4' && event['type'] === 'error'))['error'].code,
    'rate_limit_exceeded')
  send({ type: 'create', id: 'r0', request })
  assert.match((await until(event => event['id'] === 'r0' && event['type'] === 'error'))['error'].message,
    /is running already/)
  await until(completed('r0'))
  socket.close()
})

test('closing the socket frees what its requests hold', async () => {
  const { socket, send, until } = await connect()
  send({
    type: 'create',
    id: 'long',
    request: { ...request, max_tokens: 4000, ignore_eos: true, alignment: { reward: 'positive' } }
  })
  await until(event => event['type'] === 'created')
  socket.close()
  await once(socket, 'close')
  for (let look = 0; look < 50 && (await engineStats(server)).sequences > 0; look++) {
    await new Promise(resolve => { setTimeout(resolve, 20) })
  }
  assert.equal((await engineStats(server)).sequences, 0)
})
