/** The inference thread dies: what ran fails with a retry hint, the thread starts again, the next request works. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { loadConfig } from '../../src/config.js'
import { startServer, type Server } from '../../src/server.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-loss-'))
let server: Server
let thread: Worker
process.on('worker', started => { thread = started })

before(async () => {
  const model = join(folder, 'tiny.gguf')
  writeTinyGguf(model)
  server = await startServer(loadConfig({ model, cacheDir: folder, dataDir: join(folder, 'data'), port: '0', logLevel: 'silent' }), () => {})
  await server.ready
})
after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

const ask = (body: object): Promise<Response> => fetch(`${server.address}/v1/chat/completions`, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'hi' }], ignore_eos: true, ...body })
})

test('a lost thread fails what it was doing, and comes back', async () => {
  const running = ask({ max_tokens: 400 })
  const stream = await ask({ max_tokens: 400, stream: true })
  await thread.terminate()
  const lost = await running
  assert.equal(lost.status, 503)
  assert.ok(Number(lost.headers.get('retry-after')) >= 1)
  assert.match((await lost.json() as { error: { message: string } }).error.message, /the request was lost/)
  assert.match(await stream.text(), /"error":.*the request was lost/)

  // While it loads, the server says so; then it serves.
  const deadline = Date.now() + 20000
  while ((await fetch(`${server.address}/ready`)).status !== 200) {
    assert.ok(Date.now() < deadline, 'the thread did not come back')
    await new Promise(resolve => { setTimeout(resolve, 50) })
  }
  const again = await ask({ max_tokens: 4 })
  assert.equal(again.status, 200)
  assert.equal((await again.json() as { usage: { completion_tokens: number } }).usage.completion_tokens, 4)
})
