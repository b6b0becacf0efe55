/**
 * A server with the default model on a free port, for end-to-end tests. It keeps its data in a folder that is gone when
 * the tests are.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { loadConfig } from '../../src/config.js'
import type { SettingName } from '../../src/settings.js'
import { startServer, type Server } from '../../src/server.js'

const dataDir = mkdtempSync(join(tmpdir(), 'fairlead-data-'))
after(() => { rmSync(dataDir, { recursive: true }) })

/** Starts it and waits until it is ready. The model is fetched into the cache if it is not there. */
export async function readyServer (settings: Partial<Record<SettingName, string>> = {}): Promise<Server> {
  const server = await startServer(loadConfig({ dataDir, port: '0', logLevel: 'silent', ...settings }), () => {})
  await server.ready
  return server
}

/** Posts a body to /v1/chat/completions. */
export async function postChat (
  server: Server, body: unknown
): Promise<{ status: number, headers: Headers, json: Record<string, any> }> {
  const response = await fetch(`${server.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body)
  })
  return { status: response.status, headers: response.headers, json: await response.json() as Record<string, any> }
}

/** The engine's state, as /ready tells it. */
export async function engineStats (
  server: Server
): Promise<{ sequences: number, runningRequests: number, kvTokens: number }> {
  const response = await fetch(`${server.address}/ready`)
  return (await response.json() as { engine: { sequences: number, runningRequests: number, kvTokens: number } }).engine
}

export const model = 'smollm2-135m'
export const review = [{ role: 'user' as const, content: 'Write a short review of a film about a lighthouse keeper.' }]
