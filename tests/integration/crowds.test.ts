/**
 * Many at once, on a tiny model: idle and active WebSockets, slow readers, callers that leave, a server that drains.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { loadConfig } from '../../src/config.js'
import { InferenceClient } from '../../src/serving/inference-client.js'
import type { EngineStats } from '../../src/serving/calls.js'
import type { GenerateRequest } from '../../src/serving/protocol.js'
import { chatCompletionBody, parseChatCompletion } from '../../src/api/chat/chat-completion-schema.js'
import { Catalog } from '../../src/api/models/model-catalog.js'
import { Profiles } from '../../src/api/models/profiles.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

let server: TinyServer
before(async () => { server = await tinyServer() })
after(() => server.close())

type Json = Record<string, any>
const messages = [{ role: 'user', content: 'hi' }]
const chat = { model: 'tiny', messages, max_tokens: 12, ignore_eos: true }

async function engine ({ address }: TinyServer): Promise<Record<string, number>> {
  return (await (await fetch(`${address}/ready`)).json() as { engine: Record<string, number> }).engine
}

/** A socket whose events are kept and can be waited for. */
class Talk {
  readonly events: Json[] = []
  readonly #waiting: Array<() => void> = []
  readonly socket: WebSocket

  constructor (socket: WebSocket) {
    this.socket = socket
    socket.on('message', data => {
      this.events.push(JSON.parse(String(data)) as Json)
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  static async open ({ address }: TinyServer, path = '/v1/stream'): Promise<Talk> {
    const talk = new Talk(new WebSocket(`${address.replace('http', 'ws')}${path}`))
    await once(talk.socket, 'open')
    return talk
  }

  send (message: object): void { this.socket.send(JSON.stringify(message)) }

  async until (holds: (event: Json) => boolean): Promise<Json> {
    for (;;) {
      const found = this.events.find(holds)
      if (found) return found
      await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    }
  }
}

const completed = ({ type }: Json): boolean => type === 'completed'

test('500 sockets are idle, 64 active: every answer is what it is alone, and the idle ones are there', async () => {
  const alone = new Map<number, string>()
  for (const seed of [0, 63]) {
    alone.set(seed, (await server.post('/v1/chat/completions', { ...chat, seed })).json['choices'][0].message.content)
  }
  const idle = await Promise.all(Array.from({ length: 500 }, (_, index) =>
    Talk.open(server, index % 2 === 0 ? '/v1/stream' : '/v1/responses')))
  const active = await Promise.all(Array.from({ length: 64 }, () => Talk.open(server)))
  for (const [seed, talk] of active.entries()) talk.send({ type: 'create', id: 'a', request: { ...chat, seed } })
  const answers = await Promise.all(active.map(talk => talk.until(completed)))
  for (const [seed, text] of alone) assert.equal(answers[seed]!['completion'].choices[0].message.content, text)
  assert.ok(answers.every(({ completion }) => completion.usage.completion_tokens === 12))
  for (const talk of [...idle, ...active]) assert.equal(talk.socket.readyState, WebSocket.OPEN)
  idle[0]!.send({ type: 'create', id: 'b', request: { ...chat, seed: 0 } })
  assert.equal((await idle[0]!.until(completed))['completion'].choices[0].message.content, alone.get(0))
  for (const talk of [...idle, ...active]) talk.socket.close()
})

test('a reader that takes nothing for a while slows only itself, and gets all of it', async () => {
  const slow = await Talk.open(server)
  // Logprobs make events large: more than the buffers between.
  slow.send({
    type: 'create', id: 'slow', request: { ...chat, max_tokens: 400, n: 32, logprobs: true, top_logprobs: 20 }
  })
  await slow.until(({ type }) => type === 'created')
  slow.socket.pause()
  const quick = await Talk.open(server)
  for (let turn = 0; turn < 8; turn++) {
    quick.send({ type: 'create', id: String(turn), request: chat })
    await quick.until(({ type, id }) => type === 'completed' && id === String(turn))
  }
  // All has been written, and still lies in the server.
  while ((await engine(server))['runningRequests']! > 0);
  assert.ok(!slow.events.some(completed))
  slow.socket.resume()
  const { completion } = await slow.until(completed)
  for (const { index, message } of completion.choices) {
    const text = slow.events.filter(({ chunk }) => chunk?.choices[0]?.index === index)
      .map(({ chunk }) => chunk.choices[0].delta.content ?? '').join('')
    assert.equal(text, message.content)
  }
  for (const talk of [slow, quick]) talk.socket.close()
})

const long = { ...chat, max_tokens: 400 }
const post = (path: string, body: object) => async (signal: AbortSignal): Promise<void> => {
  const response = await fetch(`${server.address}${path}`,
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal })
  await response.text()
}
const talk = (path: string, message: object) => async (signal: AbortSignal): Promise<void> => {
  const { socket } = await Talk.open(server, path)
  signal.addEventListener('abort', () => { socket.close() }, { once: true })
  socket.send(JSON.stringify(message))
  await once(socket, 'close')
}
const input = { model: 'tiny', input: 'hi', max_output_tokens: 400, ignore_eos: true }

for (const [what, start] of Object.entries({
  'chat, whole': post('/v1/chat/completions', long),
  'chat, streamed': post('/v1/chat/completions', { ...long, stream: true }),
  'chat, guided': post('/v1/chat/completions', { ...long, alignment: { reward: 'length', num_candidates: 8 } }),
  'legacy, several prompts': post('/v1/completions',
    { model: 'tiny', prompt: ['a', 'b', 'c'], max_tokens: 400, ignore_eos: true }),
  'responses, whole': post('/v1/responses', input),
  'responses, streamed': post('/v1/responses', { ...input, stream: true }),
  '/v1/stream': talk('/v1/stream', { type: 'create', id: 'a', request: long }),
  'responses, WebSocket': talk('/v1/responses', { type: 'response.create', ...input })
})) {
  test(`${what}: a caller that leaves frees what its request holds`, async () => {
    const before = await engine(server)
    const leaving = new AbortController()
    const ended = start(leaving.signal).catch(() => {})
    while ((await engine(server))['sequences'] === 0);
    leaving.abort()
    await ended
    let now = await engine(server)
    while (now['runningRequests']! > 0) now = await engine(server)
    assert.deepEqual([now['sequences'], now['kvTokens'], now['waitingRequests']], [0, 0, 0])
    // Had it gone on, as many steps as tokens would have been run.
    assert.ok(now['steps']! - before['steps']! < 400)
  })
}

const engineOf = async (client: InferenceClient): Promise<EngineStats> =>
  (await client.stats()).engines[0] as EngineStats

test('within one step of an abort the KV is free', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-abort-'))
  const model = join(folder, 'tiny.gguf')
  writeTinyGguf(model)
  const client = await InferenceClient.start(loadConfig({ model, cacheDir: folder, maxSequences: '64' }, {}))
  const prefixScored = { reward: 'length', allow_scope_mismatch: true }
  try {
    for (const alignment of [null, { reward: 'length', num_candidates: 32 },
      { strategy: 'beam_search', ...prefixScored }, { strategy: 'token_guidance', ...prefixScored },
      { strategy: 'particle_filter', ...prefixScored }]) {
      const { value } = chatCompletionBody.read({ ...long, alignment })
      const request: GenerateRequest =
        parseChatCompletion(value, new Catalog(client, new Profiles({}, []))).generate
      const controller = new AbortController()
      const events = client.generate(request, { signal: controller.signal })
      while ((await events.next()).value?.type !== 'start');
      while ((await engineOf(client)).kvTokens < 40);
      controller.abort(new Error('left'))
      // Messages come in order: this is what the abort left at once.
      const left = await engineOf(client)
      assert.equal(left.sequences, 0, JSON.stringify(alignment))
      await events.next().catch(() => {})
      let now = left
      while (now.kvTokens > 0 || now.runningRequests > 0) now = await engineOf(client)
      assert.ok(now.steps - left.steps <= 1,
        `${now.steps - left.steps} steps after the abort of ${JSON.stringify(alignment)}`)
    }
  } finally {
    await client.close()
    rmSync(folder, { recursive: true })
  }
})

test('a server that drains loses no accepted request, running or waiting for room, and takes no new one', async () => {
  // Room for few at a time: the others wait.
  const leaving = await tinyServer({ kvCacheBytes: String(1 << 20) })
  const body = { ...chat, max_tokens: 100 }
  const socket = await Talk.open(leaving)
  socket.send({ type: 'create', id: 'a', request: body })
  let ended = 0
  const answered = socket.until(completed).finally(() => { ended++ })
  const requests = Array.from({ length: 24 }, (_, seed) =>
    leaving.post('/v1/chat/completions', { ...body, seed }).finally(() => { ended++ }))
  const streams = Array.from({ length: 4 }, (_, seed) =>
    leaving.stream('/v1/chat/completions', { ...body, seed }).finally(() => { ended++ }))
  const accepted = async (): Promise<number> => {
    const { runningRequests, waitingRequests } = await engine(leaving)
    return runningRequests! + waitingRequests! + ended
  }
  while (await accepted() < 29);
  const closed = leaving.close()
  const late = await leaving.post('/v1/chat/completions', body).catch(() => null)
  assert.ok(late === null || late.status === 503)
  const answers = await Promise.all(requests)
  assert.deepEqual(answers.map(({ status, json }) => [status, json['usage']?.completion_tokens]),
    answers.map(() => [200, 100]))
  for (const chunks of await Promise.all(streams)) assert.equal(chunks.at(-1)!['choices'][0].finish_reason, 'length')
  assert.equal((await answered)['completion'].usage.completion_tokens, 100)
  assert.equal((await once(socket.socket, 'close'))[0], 1001)
  await closed
})

test('when the time to drain is over, what runs or waits for room fails and is told so', async () => {
  // Room for one of the first two at a time: the other waits.
  const leaving = await tinyServer({ kvCacheBytes: String(1 << 22), drainTimeoutMs: '0' })
  const send = (path: string, body: object): Promise<Response> => fetch(`${leaving.address}${path}`,
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const [socket, responses] = [await Talk.open(leaving), await Talk.open(leaving, '/v1/responses')]
  const closes = [socket, responses].map(async one => (await once(one.socket, 'close'))[0] as number)
  const stream = await send('/v1/chat/completions', { ...long, n: 16, stream: true })
  const whole = [send('/v1/chat/completions', { ...long, n: 16 }), send('/v1/completions',
    { model: 'tiny', prompt: ['a', 'b'], max_tokens: 400, ignore_eos: true }), send('/v1/responses', input)]
  socket.send({ type: 'create', id: 'a', request: long })
  // The second waits for the first: they share a lane.
  for (let turn = 0; turn < 2; turn++) responses.send({ type: 'response.create', ...input })
  for (let accepted = 0; accepted < 7;) {
    const { runningRequests, waitingRequests } = await engine(leaving)
    accepted = runningRequests! + waitingRequests!
  }
  await leaving.close()
  assert.match(await stream.text(),
    /data: \{"error":\{"message":"The server is shutting down".*\}\n\ndata: \[DONE\]\n\n$/)
  for (const answer of await Promise.all(whole)) {
    assert.equal(answer.status, 503)
    assert.ok(Number(answer.headers.get('retry-after')) >= 1)
    assert.equal((await answer.json() as Json)['error'].message, 'The server is shutting down')
  }
  assert.deepEqual(socket.events.filter(({ type }) => type === 'error').map(({ id, status }) => [id, status]),
    [['a', 503]])
  const failures = responses.events.flatMap(({ type, error, response }) =>
    type === 'error' ? [error] : type === 'response.failed' ? [response.error] : [])
  assert.deepEqual(failures.map(({ code }) => code), ['unavailable', 'unavailable'])
  assert.deepEqual(await Promise.all(closes), [1001, 1001])
})

test('an answer that is being read when its server ends is read to its end', { timeout: 60_000 }, async () => {
  const leaving = await tinyServer({ drainTimeoutMs: '60000' })
  const { hostname, port } = new URL(leaving.address)
  const asking = httpRequest({
    hostname,
    port,
    path: '/v1/chat/completions',
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/json' }
  })
  asking.end(JSON.stringify({ ...long, max_tokens: 200, n: 32, logprobs: true, top_logprobs: 20 }))
  const [answer] = await once(asking, 'response') as [IncomingMessage]
  answer.pause()
  const closed = leaving.close()
  // Longer than clients have to read why they were ended.
  await sleep(4000)
  const { choices } = await json(answer) as { choices: unknown[] }
  assert.equal(choices.length, 32)
  await closed
})

test('a server that has answered all ends, whoever holds a connection open', { timeout: 60_000 }, async () => {
  const leaving = await tinyServer({ drainTimeoutMs: '3600000' })
  const silent = connect(Number(new URL(leaving.address).port))
  await once(silent, 'connect')
  const closed = once(silent, 'close')
  assert.equal((await leaving.post('/v1/completions', { model: 'tiny', prompt: 'a', max_tokens: 2 })).status, 200)
  await leaving.close()
  await closed
})

test('a server that ends waits for nobody who neither reads nor writes', { timeout: 60_000 }, async () => {
  const leaving = await tinyServer({ drainTimeoutMs: '0' })
  const silent = connect(Number(new URL(leaving.address).port))
  silent.write('POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: ' +
    'application/json\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n')
  await once(silent, 'data')
  const slow = await Talk.open(leaving)
  slow.send({ type: 'create', id: 'slow', request: { ...long, n: 32, logprobs: true, top_logprobs: 20 } })
  await slow.until(({ type }) => type === 'created')
  slow.socket.pause()
  while ((await engine(leaving))['runningRequests']! > 0);
  await leaving.close()
  assert.ok(!slow.events.some(completed))
  slow.socket.terminate()
})
