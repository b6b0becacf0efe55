/** WebSocket /v1/responses through OpenAI's own client, on a tiny model: OpenAI's protocol, lanes, limits. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import OpenAI from 'openai'
import { ResponsesWS } from 'openai/resources/responses/ws'
import { WebSocket } from 'ws'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
let client: OpenAI
before(async () => {
  server = await tinyServer({ maxRequestsPerSocket: '4' })
  client = new OpenAI({ baseURL: `${server.address}/v1`, apiKey: 'none', maxRetries: 0 })
})
after(() => server.close())

type Json = Record<string, any>
const base = { model: 'tiny', max_output_tokens: 8, seed: 1, ignore_eos: true }
const hasEnded = ({ type }: Json): boolean => type === 'error' ||
  ['completed', 'incomplete', 'failed'].some(status => type === `response.${status}`)

/** A socket of the client whose events are kept and can be waited for. */
class Talk {
  readonly events: Json[] = []
  readonly #waiting: Array<() => void> = []
  readonly socket: ResponsesWS

  constructor () {
    this.socket = new ResponsesWS(client)
    this.socket.on('error', () => {})
    this.socket.on('event', event => {
      this.events.push(event as unknown as Json)
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  send (body: object): void { this.socket.send({ type: 'response.create', ...base, ...body } as never) }

  /** The n-th event for which something holds, counted from 0. */
  async nth (n: number, holds: (event: Json) => boolean): Promise<Json> {
    for (;;) {
      const found = this.events.filter(holds)[n]
      if (found) return found
      await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    }
  }

  /** Sends a request and waits for its last event. */
  async ask (body: object): Promise<Json> {
    const before = this.events.filter(hasEnded).length
    this.send(body)
    return await this.nth(before, hasEnded)
  }

  close (): void { this.socket.close() }
}

const post = async (body: object): Promise<Json> => (await server.post('/v1/responses', { ...base, ...body })).json
const textOf = (response: Json): string => response['output'][0].content[0].text

test('events are those of the HTTP stream, and the text that of the whole', async () => {
  const talk = new Talk()
  const { response } = await talk.ask({ input: 'hi' })
  const over: Json[] = []
  for await (const event of await client.responses.create(
    { ...base, input: 'hi', stream: true } as never
  ) as unknown as AsyncIterable<Json>) over.push(event)
  assert.deepEqual(talk.events.map(event => [event['type'], event['sequence_number'], event['delta']]),
    over.map(event => [event['type'], event['sequence_number'], event['delta']]))
  const whole = await post({ input: 'hi' })
  assert.equal(textOf(response), textOf(whole))
  assert.deepEqual([response.usage.input_tokens, response.usage.output_tokens],
    [whole['usage'].input_tokens, whole['usage'].output_tokens])
  assert.equal((await client.responses.retrieve(response.id)).output_text, textOf(whole))
  talk.close()
})

test('a turn goes on from the last, stored or not; another socket finds what is stored only', async () => {
  const talk = new Talk()
  const [stored, unstored] = [(await talk.ask({ input: 'hi' })).response,
    (await talk.ask({ input: 'hi', store: false })).response]
  const expected = textOf(await post({ input: 'more', previous_response_id: stored.id }))
  assert.equal(textOf((await talk.ask({ input: 'more', previous_response_id: unstored.id, store: false })).response),
    expected)
  const forgotten = await talk.ask({ input: 'more', previous_response_id: unstored.id })
  assert.deepEqual([forgotten['type'], forgotten['status'], forgotten['error'].code, forgotten['error'].param],
    ['error', 400, 'previous_response_not_found', 'previous_response_id'])
  const other = new Talk()
  assert.equal(textOf((await other.ask({ input: 'more', previous_response_id: stored.id })).response), expected)
  talk.close()
  other.close()
})

test('requests of one lane run one after the other, lanes side by side; events name their lane', async () => {
  const talk = new Talk()
  for (const [lane, input] of [['a', 'one'], ['a', 'two'], ['b', 'three']]) {
    talk.send({ stream_id: lane, input, max_output_tokens: 40 })
  }
  await talk.nth(2, hasEnded)
  const order = (lane: string): string[] =>
    talk.events.filter(event => event['stream_id'] === lane && 'response' in event).map(event => event['type'])
  const one = ['response.created', 'response.in_progress', 'response.incomplete']
  assert.deepEqual(order('a'), [...one, ...one])
  assert.deepEqual(order('b'), one)
  const at = (lane: string, type: string): number =>
    talk.events.findIndex(event => event['stream_id'] === lane && event['type'] === type)
  assert.ok(at('b', 'response.created') < at('a', 'response.incomplete'))
  talk.close()
})

test('generate: false reads the conversation, so that the next turn finds it cached', async () => {
  const talk = new Talk()
  const { response } =
    await talk.ask({ input: 'a conversation that is read first', generate: false, store: false, cache_salt: 'warm' })
  assert.deepEqual([response.status, response.output, response.usage.output_tokens], ['completed', [], 0])
  const next = (await talk.ask({ input: 'more', previous_response_id: response.id, cache_salt: 'warm' })).response
  assert.ok(next.usage.input_tokens_details.cached_tokens > 0)
  const byHand = await post({
    input: [{ role: 'user', content: 'a conversation that is read first' }, { role: 'user', content: 'more' }]
  })
  assert.equal(textOf(next), textOf(byHand))
  talk.close()
})

test('guidance and its progress come over the socket', async () => {
  const talk = new Talk()
  const alignment = {
    strategy: 'beam_search',
    num_beams: 2,
    num_children: 2,
    step: { tokens: 2 },
    reward: 'length',
    allow_scope_mismatch: true,
    return_progress: true
  }
  const { response } = await talk.ask({ input: 'hi', alignment })
  assert.equal(textOf(response), textOf(await post({ input: 'hi', alignment })))
  assert.equal(response.alignment.strategy, 'beam_search')
  assert.ok(talk.events.some(({ type }) => type === 'response.alignment.progress'))
  talk.close()
})

test('a bad message is an error event, and the socket stays', async () => {
  const talk = new Talk()
  for (const [message, param, text] of [
    ['{nonsense', null, /must be JSON/],
    ['[]', null, /must be a JSON object/],
    [{ type: 'response.steer' }, 'type', /must be response\.create; got "response\.steer"/],
    [{ type: 'response.create', ...base, input: 'x', stream_id: '' }, 'stream_id', /a string of 1 to 128 characters/],
    [{ type: 'response.create', ...base, input: 'x', background: true }, 'background',
      /cannot be had over a WebSocket/],
    [{ type: 'response.create', ...base, input: 'x', generate: 0 }, 'generate', /must be true or false; got 0/],
    [{ type: 'response.create', ...base, input: 'x', temperature: 9 }, 'temperature', /from 0 to 2; got 9/],
    [{ type: 'response.create', ...base, input: 'x', model: 'other' }, 'model', /does not exist/]
  ] as ReadonlyArray<readonly [unknown, string | null, RegExp]>) {
    const before = talk.events.length
    talk.socket.sendRaw(typeof message === 'string' ? message : JSON.stringify(message))
    const event = await talk.nth(0, one => talk.events.indexOf(one) >= before)
    assert.deepEqual([event['type'], event['error'].param], ['error', param], JSON.stringify(event))
    assert.match(event['error'].message, text)
  }
  const { response } = await talk.ask({ input: 'hi', some_new_field: 1 })
  assert.equal(response.status, 'incomplete')
  assert.deepEqual(talk.events.findLast(({ type }) => type === 'response.created')!['ignored'], ['some_new_field'])
  talk.close()
})

test('a socket has so many requests in flight, and no more', async () => {
  const talk = new Talk()
  for (let index = 0; index < 5; index++) talk.send({ input: 'hi', max_output_tokens: 60, stream_id: String(index) })
  const refused = await talk.nth(0, ({ type }) => type === 'error')
  assert.deepEqual([refused['status'], refused['error'].code, refused['stream_id'], refused['retry_after_ms'] > 0],
    [429, 'rate_limit_exceeded', '4', true])
  await talk.nth(3, ({ type }) => type === 'response.incomplete')
  talk.close()
})

test('a socket that closes ends its requests, those that wait in a lane too', async () => {
  const talk = new Talk()
  for (let index = 0; index < 3; index++) talk.send({ input: 'hi', max_output_tokens: 400 })
  await talk.nth(0, ({ type }) => type === 'response.output_text.delta')
  talk.close()
  const engine = async (): Promise<Json> => (await (await fetch(`${server.address}/ready`)).json() as Json)['engine']
  while ((await engine())['runningRequests'] > 0) await new Promise(resolve => { setTimeout(resolve, 5) })
  const { sequences, waitingRequests } = await engine()
  assert.deepEqual([sequences, waitingRequests], [0, 0])
})

test('without an upgrade, the path asks for one', async () => {
  const response = await fetch(`${server.address}/v1/responses`)
  assert.deepEqual([response.status, response.headers.get('upgrade')], [426, 'websocket'])
  assert.equal((await response.json() as Json)['error'].code, 'upgrade_required')
})

test('beyond max-web-sockets, of both kinds together, a socket is closed with 1013', async () => {
  const small = await tinyServer({ maxWebSockets: '2' })
  const sockets: WebSocket[] = []
  /** The code that a new socket is closed with, or 0 for one that is answered. */
  const open = async (path: string): Promise<number> => {
    const socket = new WebSocket(`${small.address.replace('http', 'ws')}${path}`)
    sockets.push(socket)
    socket.on('open', () => { socket.send('{}') })
    return await Promise.race([once(socket, 'close').then(([code]) => code as number),
      once(socket, 'message').then(() => 0)])
  }
  try {
    assert.deepEqual([await open('/v1/responses'), await open('/v1/stream'), await open('/v1/responses'),
      await open('/v1/stream')], [0, 0, 1013, 1013])
    sockets[0]!.close()
    // The server learns of it in its own time.
    while (await open('/v1/stream') !== 0);
    for (const socket of sockets) socket.close()
  } finally {
    await small.close()
  }
})

test('a server that shuts down lets what runs end, refuses what is new, and closes with 1001', async () => {
  const leaving = await tinyServer({ drainTimeoutMs: '300000' })
  const socket = new WebSocket(`${leaving.address.replace('http', 'ws')}/v1/responses`)
  const events: Json[] = []
  socket.on('message', data => { events.push(JSON.parse(String(data)) as Json) })
  await once(socket, 'open')
  const create = JSON.stringify({ type: 'response.create', ...base, input: 'hi', max_output_tokens: 100 })
  // The second waits in the lane for the first: both were accepted.
  socket.send(create)
  socket.send(create)
  await once(socket, 'message')
  const closed = leaving.close()
  socket.send(create)
  const [code] = await once(socket, 'close')
  await closed
  assert.equal(code, 1001)
  assert.equal(events.filter(({ type }) => type === 'response.incomplete').length, 2)
  assert.deepEqual(events.filter(({ type }) => type === 'error').map(({ status }) => status), [503])
})
