/** The access log of a server in a process of its own: a line for every request, however it ended. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { packageRoot } from '../../src/package-root.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'

type Line = Record<string, any>

const folder = mkdtempSync(join(tmpdir(), 'fairlead-log-'))
writeTinyGguf(join(folder, 'tiny.gguf'))

let server: ChildProcess
let address = ''
const lines: Line[] = []
let look: () => void = () => {}

/** The line of the request with an id, once it is written. */
async function lineOf (find: string | ((line: Line) => boolean)): Promise<Line> {
  for (;;) {
    const found = lines.find(line => typeof find === 'string' ? line['reqId'] === find : find(line))
    if (found) return found
    await new Promise<void>(resolve => { look = resolve })
  }
}

before(async () => {
  server = spawn(process.execPath, [join(packageRoot, 'dist/src/cli/main.js'), 'serve', '--port', '0'], {
    env: {
      ...process.env,
      FAIRLEAD_MODEL: join(folder, 'tiny.gguf'),
      FAIRLEAD_CACHE_DIR: folder,
      FAIRLEAD_DATA_DIR: folder,
      FAIRLEAD_MAX_REQUESTS_PER_SOCKET: '1'
    },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  createInterface(server.stdout!).on('line', text => {
    const line = JSON.parse(text) as Line
    if ('method' in line) lines.push(line)
    look()
  })
  for await (const text of createInterface(server.stderr!)) {
    address ||= /listening on (\S+)/.exec(text)?.[1] ?? ''
    if (text === 'ready') break
  }
})
after(async () => {
  if (server.exitCode === null) {
    server.kill('SIGKILL')
    await once(server, 'exit')
  }
  rmSync(folder, { recursive: true })
})

const long = { model: 'tiny', prompt: 'a', max_tokens: 480, ignore_eos: true }
function post (path: string, id: string, body: object, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(`${address}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': id },
    body: JSON.stringify(body),
    signal
  })
}

/** Waits until the engine has drawn some more tokens. */
async function drawing (): Promise<void> {
  const rows = async (): Promise<number> =>
    (await (await fetch(`${address}/ready`)).json() as { engine: { decodeRows: number } }).engine.decodeRows
  for (const from = await rows(); await rows() < from + 20;);
}

test('a request whose client disconnects has a line with status 499 and the tokens that were drawn', async () => {
  const bodies = { whole: {}, stream: { stream: true }, search: { alignment: { reward: 'length', num_candidates: 4 } } }
  for (const [id, more] of Object.entries(bodies)) {
    const controller = new AbortController()
    const request = post('/v1/completions', id, { ...long, ...more }, controller.signal)
      .then(response => response.text())
    await drawing()
    controller.abort()
    await assert.rejects(request)
    const { method, url, status, ms, tokens, disconnected, msg } = await lineOf(id)
    assert.deepEqual([method, url, status, disconnected, msg],
      ['POST', '/v1/completions', 499, true, 'client disconnected'])
    assert.ok(Number.isInteger(ms) && tokens > 0 && tokens < 480 * 4, `${id}: ${ms} ms, ${tokens} tokens`)
  }
})

test('one that is answered or refused has one line, with its status and its tokens', async () => {
  const asked = { ...long, max_tokens: 5 }
  await (await post('/v1/completions', 'answered', { ...asked, n: 2 })).text()
  await (await post('/v1/completions', 'streamed', { ...asked, stream: true })).text()
  await (await post('/v1/completions', 'refused', { ...asked, temperature: 9 })).text()
  await (await post('/nowhere', 'lost', {})).text()
  const background = await post('/v1/responses', 'background',
    { model: 'tiny', input: 'hi', background: true, max_output_tokens: 5, ignore_eos: true })
  await background.text()
  for (const [id, status, tokens] of [['answered', 200, 10], ['streamed', 200, 5], ['refused', 400, undefined],
    ['lost', 404, undefined], ['background', 200, 5]] as const) {
    const line = await lineOf(id)
    assert.deepEqual([line['status'], line['tokens'], 'disconnected' in line], [status, tokens, false], id)
    assert.equal(lines.filter(({ reqId }) => reqId === id).length, 1)
  }
})

test('requests over a WebSocket have a line each, and so has the socket', async () => {
  const socket = new WebSocket(`${address.replace('http', 'ws')}/v1/stream`, { headers: { 'x-request-id': 'socket' } })
  await once(socket, 'open')
  const send = (id: string, maxTokens: number): void => {
    const messages = [{ role: 'user', content: 'a' }]
    const request = { model: 'tiny', messages, max_tokens: maxTokens, ignore_eos: true }
    socket.send(JSON.stringify({ type: 'create', id, request }))
  }
  const of = (id: string): Promise<Line> => lineOf(line => line['reqId'] === 'socket' && line['id'] === id)
  send('short', 5)
  const { method, url, status, tokens } = await of('short')
  assert.deepEqual([method, url, status, tokens], ['WEBSOCKET', '/v1/stream', 200, 5])
  send('left', 400)
  send('refused', 5)
  assert.equal((await of('refused'))['status'], 429)
  await drawing()
  socket.terminate()
  const left = await of('left')
  assert.deepEqual([left['status'], left['disconnected'], left['tokens'] > 0], [499, true, true])
  const own = await lineOf(line => line['reqId'] === 'socket' && line['method'] === 'GET')
  assert.deepEqual([own['status'], own['url'], 'disconnected' in own], [101, '/v1/stream', false])
})

test('probes are not logged at level info', async () => {
  for (const path of ['/health', '/ping', '/ready', '/metrics', '/version']) {
    await (await fetch(`${address}${path}`, { headers: { 'x-request-id': path.slice(1) } })).text()
  }
  await lineOf('version')
  assert.deepEqual(lines.filter(({ url }) => /health|ping|ready|metrics/.test(url)), [])
  const counted = await (await fetch(`${address}/metrics`)).text()
  assert.match(counted, /http_requests_total\{handler="\/v1\/completions",method="POST",status="499"\} 3/)
})
