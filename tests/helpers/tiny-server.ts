/** A server with a tiny random model on a free port: the API without waiting for a real model. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach } from 'node:test'
import { WebSocket } from 'ws'
import { loadConfig } from '../../src/config.js'
import type { SettingName } from '../../src/settings.js'
import { startServer } from '../../src/server.js'
import { writeTinyGguf } from './tiny-gguf.js'

// One model for all servers of a test file: it is converted once.
const folder = mkdtempSync(join(tmpdir(), 'fairlead-tiny-'))
const model = join(folder, 'tiny.gguf')
writeTinyGguf(model)
after(() => { rmSync(folder, { recursive: true }) })

type Json = Record<string, any>

export interface TinyServer {
  readonly address: string
  /** What it said while it started. */
  readonly said: readonly string[]
  /** Posts a body. */
  post (path: string, body: unknown, headers?: Record<string, string>): Promise<{
    status: number, headers: Headers, json: Json
  }>
  /** Posts a body with `stream: true`; gives the frames' data, `[DONE]` left out. */
  stream (path: string, body: object): Promise<Json[]>
  close (): Promise<void>
}

/**
 * Starts it and waits until it is ready.
 * @param files text files by name, for settings that name files: `FOLDER` in a setting stands for where they lie
 */
export async function tinyServer (
  settings: Partial<Record<SettingName, string>> = {}, files: Readonly<Record<string, string>> = {}
): Promise<TinyServer> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const flags =
    Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value.replaceAll('FOLDER', folder)]))
  const said: string[] = []
  const server = await startServer(loadConfig({
    // An engine elsewhere takes its place.
    ...settings.policy === undefined ? { model } : {},
    cacheDir: folder,
    dataDir: join(folder, 'data'),
    port: '0',
    maxSequences: '64',
    logLevel: 'silent',
    ...flags
  }, {}), message => { said.push(message) })
  await server.ready.catch(async (error: unknown) => {
    // What still listens would keep the test's process alive.
    await server.close()
    throw error
  })
  const send = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${server.address}${path}`,
      { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
  return {
    address: server.address,
    said,
    async post (path, body, headers) {
      const response = await send(path, body, headers)
      return { status: response.status, headers: response.headers, json: await response.json() as Json }
    },
    async stream (path, body) {
      const text = await (await send(path, { ...body, stream: true })).text()
      const frames = text.split('\n\n').filter(frame => frame.startsWith('data: ')).map(frame => frame.slice(6))
      if (frames.pop() !== '[DONE]') throw new Error(`the stream did not end with [DONE]: ${text.slice(-200)}`)
      return frames.map(frame => JSON.parse(frame) as Json)
    },
    close: () => server.close()
  }
}

/** To be called once in a file. @returns what starts servers that are closed when the test at hand ends */
export function startTinyServers (): typeof tinyServer {
  const servers: TinyServer[] = []
  afterEach(async () => { for (const server of servers.splice(0)) await server.close() })
  return async (...args) => {
    const server = await tinyServer(...args)
    servers.push(server)
    return server
  }
}

/**
 * The chat completion that a message to /v1/stream brings.
 * @param message its text, as it is sent
 * @throws Error with the event, where that is an error
 */
export async function completedOverSocket ({ address }: TinyServer, message: string): Promise<Json> {
  const socket = new WebSocket(`${address.replace('http', 'ws')}/v1/stream`)
  try {
    return await new Promise((resolve, reject) => {
      socket.on('open', () => { socket.send(message) })
      socket.on('message', data => {
        const event = JSON.parse(String(data)) as Json
        if (event['type'] === 'completed') resolve(event['completion'] as Json)
        if (event['type'] === 'error') reject(new Error(JSON.stringify(event)))
      })
    })
  } finally {
    socket.close()
  }
}
