/** Clients that leave in the middle of long searches take their calls at the engines with them. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineProcess } from '../engine-process.js'
import type { Checks } from './check.js'
import { searches, until } from './fault-checks.js'
import type { FaultyWay } from './faulty-way.js'
import { letters } from './protocol-checks.js'
import { figureOf } from './vllm-engine.js'

const clients = 20
/** How long calls may be open when their client has left, ms. */
const mostOpenMs = 100

/** Requests that engines have, those too that wait there. */
async function requestsAt (engines: readonly EngineProcess[]): Promise<number> {
  const counts = await Promise.all(engines.flatMap(engine =>
    ['num_requests_running', 'num_requests_waiting'].map(name => figureOf(engine, name))))
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Starts a search and leaves it, every other one while its answer streams. @param leave when the first may leave */
async function visit (address: string, index: number, leave: Promise<unknown>): Promise<void> {
  const leaving = new AbortController()
  const asked = (async () => {
    const response = await fetch(`${address}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'tiny',
        prompt: letters(40 + index),
        max_tokens: 1900,
        ignore_eos: true,
        stream: index % 2 === 1,
        alignment: searches[index % searches.length]
      }),
      signal: leaving.signal
    })
    await response.text()
    throw new Error(`the search had ended with ${response.status} before its client left`)
  })()
  const goes = async (): Promise<void> => {
    await leave
    await sleep(97 * index)
    leaving.abort()
  }
  await Promise.all([assert.rejects(asked, { name: 'AbortError' }), goes()])
}

/** @param at engines, and a Fairlead behind whose ways they are */
export async function leavingChecks (
  checks: Checks,
  { engines, ways, address }:
  { readonly engines: readonly EngineProcess[], readonly ways: readonly FaultyWay[], readonly address: string }
): Promise<void> {
  await checks.check(`${clients} clients leave their searches: their calls are closed within ${mostOpenMs} ms, ` +
    'and no engine has a request a second later', async () => {
    const isClosed = (): Promise<boolean> => Promise.resolve(ways.every(({ open }) => open === 0))
    let most = 0
    const busy = until('the engines are at work', async () => (most = await requestsAt(engines)) > 16)
    await Promise.all(Array.from({ length: clients }, (_, index) => visit(address, index, busy)))
    const from = performance.now()
    // Fairlead's part, and the engines'.
    const openMs = await until('all calls are closed', isClosed, 10_000)
    await until('no request is left', async () => await requestsAt(engines) === 0, 10_000)
    const ms = performance.now() - from
    const told = `calls closed ${Math.round(openMs)} ms after the last had left, no request ${Math.round(ms)} ms after`
    assert.ok(openMs <= mostOpenMs && ms <= 1000, told)
    await sleep(1000 - ms)
    assert.equal(await requestsAt(engines), 0)
    return `${told}; ${most} when the first left`
  })
}
