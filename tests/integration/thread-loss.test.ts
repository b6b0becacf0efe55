/**
 * The inference thread dies: what ran fails with a retry hint, the thread starts again, the next request works; where
 * it cannot be started, all say so and the log says why.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { WebSocket } from 'ws'
import { loadConfig } from '../../src/config.js'
import { InferenceClient } from '../../src/serving/inference-client.js'
import { startServer, type Server } from '../../src/server.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-loss-'))
const model = join(folder, 'tiny.gguf')
let server: Server
let thread: Worker
/** What the operator is told. */
const said: string[] = []
process.on('worker', started => { thread = started })

before(async () => {
  writeTinyGguf(model)
  server = await startServer(
    loadConfig({ model, cacheDir: folder, dataDir: join(folder, 'data'), port: '0', logLevel: 'silent' }),
    message => { said.push(message) }
  )
  await server.ready
})
after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

const post = (path: string, body: object): Promise<Response> => fetch(`${server.address}${path}`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'tiny', ignore_eos: true, ...body })
})
const messages = [{ role: 'user', content: 'hi' }]
const ask = (body: object): Promise<Response> => post('/v1/chat/completions', { messages, ...body })
const respond = (body: object): Promise<Response> => post('/v1/responses', { input: 'hi', ...body })

const pause = (): Promise<void> => new Promise(resolve => { setTimeout(resolve, 20) })

/** Asks until a path answers with a status. @returns what it said */
async function until (path: string, status: number): Promise<string> {
  const deadline = Date.now() + 20000
  for (;;) {
    const response = await fetch(`${server.address}${path}`)
    const text = await response.text()
    if (response.status === status) return text
    assert.ok(Date.now() < deadline, `${path} is ${response.status}: ${text}`)
    await pause()
  }
}

interface Talk { send: (message: object) => void, until: (type: string) => Promise<Record<string, any>> }

/** An open socket: sends messages, waits for the first event of a type. */
async function talk (path: string): Promise<Talk> {
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}${path}`)
  const events: Array<Record<string, any>> = []
  let wake = (): void => {}
  socket.on('message', data => { events.push(JSON.parse(String(data)) as Record<string, any>); wake() })
  await once(socket, 'open')
  return {
    send: message => { socket.send(JSON.stringify(message)) },
    async until (type) {
      for (;;) {
        const found = events.find(event => event['type'] === type)
        if (found) return found
        await new Promise<void>(resolve => { wake = resolve })
      }
    }
  }
}

test('a lost thread fails what it was doing, every way in its own words, and comes back', async () => {
  const long = { model: 'tiny', ignore_eos: true }
  const running = ask({ max_tokens: 400, n: 32 })
  const whole = respond({ max_output_tokens: 400 })
  const stream = await ask({ max_tokens: 400, n: 32, stream: true })
  const events = await respond({ max_output_tokens: 400, stream: true })
  const { id } = await (await respond({ max_output_tokens: 400, background: true })).json() as { id: string }
  const [ours, responses] = [await talk('/v1/stream'), await talk('/v1/responses')]
  ours.send({ type: 'create', id: 'a', request: { ...long, messages, max_tokens: 400 } })
  responses.send({ type: 'response.create', ...long, input: 'hi', max_output_tokens: 400 })
  await Promise.all([ours.until('created'), responses.until('response.created')])
  await thread.terminate()
  for (const lost of [await running, await whole]) {
    assert.equal(lost.status, 503)
    assert.ok(Number(lost.headers.get('retry-after')) >= 1)
    assert.match((await lost.json() as { error: { message: string } }).error.message, /the request was lost/)
  }
  assert.match(await stream.text(), /"error":.*the request was lost/)
  assert.match(await events.text(), /event: response\.failed\ndata: .*the request was lost/)
  const error = await ours.until('error')
  assert.deepEqual([error['id'], error['status'], error['error'].code, error['retry_after_ms'] > 0],
    ['a', 503, 'unavailable', true])
  assert.equal((await responses.until('response.failed'))['response'].error.code, 'unavailable')
  const kept =
    await (await fetch(`${server.address}/v1/responses/${id}`)).json() as { status: string, error: { code: string } }
  assert.deepEqual([kept.status, kept.error.code], ['failed', 'unavailable'])

  // While it loads, the server says so; then it serves.
  await until('/ready', 200)
  const again = await ask({ max_tokens: 4 })
  assert.equal(again.status, 200)
  assert.equal((await again.json() as { usage: { completion_tokens: number } }).usage.completion_tokens, 4)
  // The sockets are still there: their callers need not connect anew.
  responses.send({ type: 'response.create', ...long, input: 'hi', max_output_tokens: 4 })
  assert.equal((await responses.until('response.incomplete'))['response'].usage.output_tokens, 4)
})

test('a thread that cannot be started again is a problem that all are told of, until it can', async () => {
  const aside = join(folder, 'aside.gguf')
  renameSync(model, aside)
  assert.equal((await fetch(`${server.address}/health`)).status, 200)
  await thread.terminate()
  const why = /could not be started again; the log says why/
  assert.match(await until('/health', 503), why)
  assert.match(await (await fetch(`${server.address}/ready`)).text(), why)
  const refused = await ask({ max_tokens: 4 })
  assert.equal(refused.status, 503)
  assert.match(await refused.text(), why)
  assert.ok(said.some(message => /could not be started again: .*tiny\.gguf/.test(message)), said.join('\n'))
  renameSync(aside, model)
  await until('/ready', 200)
  assert.equal((await fetch(`${server.address}/health`)).status, 200)
  assert.equal((await ask({ max_tokens: 4 })).status, 200)
})

test('a thread that ends for an error loses its requests and gives its memory back', async () => {
  // No message: reading it is an error that nobody catches.
  const fail = (): void => { thread.postMessage(null) }
  const stream = await ask({ max_tokens: 400, n: 32, stream: true })
  fail()
  assert.match(await stream.text(), /"error":.*the request was lost/)
  await until('/ready', 200)

  const large = join(folder, 'large.gguf')
  writeTinyGguf(large, { hiddenSize: 512, queryHeads: 8, kvHeads: 2, layers: 4, feedForwardSize: 2048 })
  const client = await InferenceClient.start(loadConfig(
    { model: large, format: 'f32', cacheDir: folder, dataDir: join(folder, 'none') }, {}
  ))
  const resident: number[] = []
  for (let losses = 0; losses <= 4; losses++) {
    resident.push(process.memoryUsage.rss())
    fail()
    while (client.isReady) await pause()
    while (!client.isReady) await pause()
  }
  await client.close()
  assert.ok(resident.at(-1)! - resident[0]! < 3 * statSync(large).size,
    `bytes resident after each loss: ${resident.join(', ')}`)
})
