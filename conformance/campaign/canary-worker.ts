/**
 * The canary's own thread, so that what the attacker's side computes does not count as the server's: asks /health and
 * reads plain streams, one after the other, and tells how long everything took when it is stopped.
 */
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { CanaryFigures, CanaryOrders } from './canary.js'

const { url, key, model } = workerData as CanaryOrders
const agent = new Agent({ keepAlive: true })
const stopped = new AbortController()

/** Between two questions, ms. */
const pauseMs = 20
/** Tokens of a stream. */
const maxTokens = 96

const figures: CanaryFigures = { health: [], gaps: [], firstTokens: [], refused: [] }

/** When what is awaited now began; null where nothing is. */
const waiting: { health: number | null, stream: number | null, isFirst: boolean } =
  { health: null, stream: null, isFirst: true }

function send (path: string, method: string, headers: Record<string, string>, body?: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(`${url}${path}`, { method, agent, headers, signal: stopped.signal }, resolve)
    sent.once('error', reject)
    sent.end(body)
  })
}

async function askHealth (): Promise<void> {
  waiting.health = performance.now()
  const response = await send('/health', 'GET', {})
  response.resume()
  await once(response, 'end')
  figures.health.push(performance.now() - waiting.health)
  waiting.health = null
  if (response.statusCode !== 200) figures.refused.push(`/health: ${response.statusCode}`)
  await sleep(pauseMs)
}

/** Notes how long the reader of a stream waited. */
function heard (now: number): void {
  (waiting.isFirst ? figures.firstTokens : figures.gaps).push(now - waiting.stream!)
  waiting.stream = now
  waiting.isFirst = false
}

let seed = 0
async function readStream (): Promise<void> {
  waiting.stream = performance.now()
  waiting.isFirst = true
  const response = await send('/v1/chat/completions', 'POST',
    { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, JSON.stringify({
      model,
      messages: [{ role: 'user', content: 'Write a short review of a film.' }],
      max_tokens: maxTokens,
      ignore_eos: true,
      stream: true,
      seed: seed++
    }))
  let text = ''
  for await (const chunk of response) {
    if (response.statusCode === 200) heard(performance.now())
    else text += String(chunk)
  }
  waiting.stream = null
  if (response.statusCode !== 200) figures.refused.push(`stream: ${response.statusCode} ${text.slice(0, 200)}`)
}

/** Does it again until it is stopped. What fails is told once and tried again a little later. */
async function repeat (what: string, work: () => Promise<void>): Promise<void> {
  while (!stopped.signal.aborted) {
    try {
      await work()
    } catch (error) {
      if (stopped.signal.aborted) return
      figures.refused.push(`${what}: ${(error as Error).message}`)
      await sleep(200)
    }
  }
}

parentPort!.once('message', () => {
  // What is still awaited has taken at least as long as this.
  const now = performance.now()
  if (waiting.health !== null) figures.health.push(now - waiting.health)
  if (waiting.stream !== null) (waiting.isFirst ? figures.firstTokens : figures.gaps).push(now - waiting.stream)
  parentPort!.postMessage(figures)
  stopped.abort()
  agent.destroy()
})
await Promise.all([repeat('/health', askHealth), repeat('stream', readStream)])
