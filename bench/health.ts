/**
 * `npm run bench:health`: how fast `GET /health` answers while 32 candidates decode, one best-of-32 after the other.
 * Starts its own server. On Linux it tells, too, whether the server's main thread, which answers, was busy, or was
 * ready to answer and waited for a core.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { runProgram } from '../tools/program.js'
import {
  mainThreadTimes, modelOf, startTarget, type Target, type ThreadTimes
} from './harness/server-process.js'
import { httpClient, type Client } from './load/clients.js'
import { quantiles } from './load/measurement.js'

const seconds = 10
/** Between two questions, ms. */
const pauseMs = 10

/** Shares of the time between two readings. */
function sharesOf (name: string, before: ThreadTimes | null, after: ThreadTimes | null, ms: number): string {
  if (!before || !after) return ''
  const percent = (part: number): string => `${(100 * part / ms).toFixed(1)} %`
  return `; ${name} computed ${percent(after.ran - before.ran)} of the time and waited for a core ` +
    `${percent(after.waited - before.waited)}`
}

/** Asks until the time is over. @returns what each answer took, ms */
async function ask (url: string, until: AbortSignal): Promise<number[]> {
  const times: number[] = []
  while (!until.aborted) {
    const asked = performance.now()
    const response = await fetch(`${url}/health`)
    await response.text()
    if (!response.ok) throw new Error(`GET /health: ${response.status}`)
    times.push(performance.now() - asked)
    await sleep(pauseMs)
  }
  return times
}

async function measure (target: Target, client: Client): Promise<void> {
  const body = {
    model: await modelOf(target.url),
    messages: [{ role: 'user', content: 'Write a short review of a film.' }],
    max_tokens: 64,
    ignore_eos: true,
    alignment: { strategy: 'best_of_n', num_candidates: 32, reward: 'positive' }
  }
  const until = AbortSignal.timeout(seconds * 1000)
  const load = (async () => { while (!until.aborted) await client.send(body, until) })()
    .catch((error: unknown) => { if (!until.aborted) throw error })
  const [started, server, own] = [performance.now(), target.mainThread(), mainThreadTimes(process.pid)]
  const times = await ask(target.url, until)
  const took = performance.now() - started
  const shares = sharesOf('the server’s main thread', server, target.mainThread(), took) +
    sharesOf('the one that asks', own, mainThreadTimes(process.pid), took)
  await load
  const { p50, p90, p99 } = quantiles(times)!
  console.log(`GET /health beside best of 32, ${times.length} times: p50 ${p50.toFixed(1)} ms, p90 ${p90.toFixed(1)} ` +
    `ms, p99 ${p99.toFixed(1)} ms, longest ${Math.max(...times).toFixed(1)} ms${shares}`)
}

await runProgram({
  command: 'npm run bench:health --',
  summary: 'How fast GET /health answers while 32 candidates decode',
  options: {},
  async run () {
    const target = await startTarget([])
    const client = httpClient(target.url)
    try {
      await measure(target, client)
    } finally {
      await client.close()
      await target.stop()
    }
  }
})
