/**
 * `npm run soak`: ten minutes of mixed load with random aborts. Passes if no client got an error that was not asked
 * for, memory did not grow beyond noise and all KV came back. Starts its own server, since it watches its memory.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Options } from '../../src/cli/options.js'
import { packageRoot } from '../../src/package-root.js'
import { Progress } from '../../src/reporting/progress.js'
import { uniform } from '../../src/statistics/random.js'
import { interruption, messageOf, runProgram, type Arguments } from '../../tools/program.js'
import { engineState, modelOf, startTarget, type EngineState, type Target } from '../harness/server-process.js'
import { httpClient, websocketClient, type Send } from '../load/clients.js'
import type { MemorySample } from './memory.js'
import { crowd, failuresOf, limits, writeSoak, type Tally } from './report.js'
import { aborted, drawRequest, type SoakKind } from './requests.js'

const options: Options = {
  seconds: { type: 'string', help: 'how long', default: '600' },
  'in-flight': { type: 'string', help: 'requests in flight, half of them over WebSockets', default: '16' },
  'max-tokens': { type: 'string', help: 'tokens of an answer, at most', default: '48' },
  reward: { type: 'string', help: 'reward that steers the guided ones', default: 'positive' },
  seed: { type: 'string', help: 'same seed, same requests and aborts', default: '1' },
  out: { type: 'string', help: 'folder of the report', default: 'bench/out/soak-TIME' }
}

const collectGarbage = ['--expose-gc', '--import',
  `data:text/javascript,setInterval(gc, ${limits.collectEvery * 1000}).unref()`] as const

/**
 * Takes as much KV as the load ever can, at once: without it every rare coincidence of long answers would leave a
 * little more memory taken, and look like a leak.
 */
async function fillSlots (send: Send, model: string, maxTokens: number, signal: AbortSignal): Promise<void> {
  const content = 'Write down all that comes to your mind about lighthouses, in one go.'
  await Promise.all(Array.from({ length: crowd.requests }, (_, seed) => send({
    model,
    messages: [{ role: 'user', content }],
    n: crowd.choices,
    max_tokens: maxTokens + crowd.moreTokens,
    ignore_eos: true,
    seed
  }, signal)))
}

/** What is asked, and what became of it. */
interface Mix {
  readonly model: string
  readonly maxTokens: number
  readonly reward: string
  readonly tallies: Map<SoakKind, Tally>
  readonly unasked: string[]
}

/** Sends requests one after the other until the time is over, and tells what became of each. */
async function lane (
  send: Send, streams: boolean, { tallies, unasked, ...mix }: Mix, random: () => number, until: AbortSignal
): Promise<void> {
  while (!until.aborted) {
    const { kind, body, abortAfterMs, refusal } = drawRequest(random, { ...mix, streams })
    const tally = tallies.get(kind) ?? { answered: 0, aborted: 0, refused: 0 }
    tallies.set(kind, tally)
    const controller = new AbortController()
    const timer =
      abortAfterMs === null ? undefined : setTimeout(() => { controller.abort(new Error(aborted)) }, abortAfterMs)
    try {
      await send(body, controller.signal)
      if (refusal) unasked.push(`${kind}: was answered, and should have been refused`)
      else tally.answered++
    } catch (error) {
      if (refusal) tally.refused++
      else if (controller.signal.aborted) tally.aborted++
      else unasked.push(`${kind}: ${messageOf(error)}`)
    } finally {
      clearTimeout(timer)
    }
  }
}

/**
 * Bytes that the server holds, less what V8 has reserved and does not use: that grows for minutes by tens of MB before
 * it shrinks. Null where the system does not say.
 */
async function heldBytes ({ url, residentBytes }: Target): Promise<number | null> {
  const resident = residentBytes()
  if (resident === null) return null
  const metrics = await (await fetch(`${url}/metrics`)).text()
  const heap = (which: string): number =>
    Number(new RegExp(`^nodejs_heap_size_${which}_bytes (\\d+)$`, 'm').exec(metrics)![1])
  return resident - heap('total') + heap('used')
}

/** The engine once it has nothing to do, or as it is after half a minute. */
async function settled (url: string): Promise<EngineState | null> {
  for (let tries = 0; ; tries++) {
    const state = await engineState(url).catch(() => null)
    if ((state?.sequences === 0 && state.runningRequests === 0 && state.kvTokens === 0) || tries === 60) return state
    await sleep(500)
  }
}

/** Sends the mix for so long. @returns the server's memory meanwhile, and how long it took, seconds */
async function load (
  target: Target, mix: Mix, args: Arguments, over: AbortController
): Promise<{ memory: MemorySample[], seconds: number }> {
  const [seconds, inFlight, seed] = [args.integer('seconds'), args.integer('in-flight', 2), args.integer('seed', 0)]
  const [memory, progress, sockets] = [[] as MemorySample[], new Progress(), Math.floor(inFlight / 2)]
  const [http, websocket] = [httpClient(target.url), await websocketClient(target.url, sockets)]
  progress.tell('filling the KV cache', 0, 1)
  await fillSlots(http.send, mix.model, mix.maxTokens, over.signal)
  const started = performance.now()
  const elapsed = (): number => (performance.now() - started) / 1000
  const watch = setInterval(() => {
    // A server that does not answer is seen by those who send requests.
    heldBytes(target).then(bytes => { if (bytes !== null) memory.push({ seconds: elapsed(), bytes }) }, () => {})
    progress.tell('seconds', Math.min(seconds, Math.floor(elapsed())), seconds)
  }, 1000)
  const timer = setTimeout(() => { over.abort() }, seconds * 1000)
  await Promise.all(Array.from({ length: inFlight }, (_, index) => lane(index < sockets ? websocket.send : http.send,
    index >= sockets, mix, uniform(seed * 1000 + index), over.signal)))
  clearTimeout(timer)
  clearInterval(watch)
  progress.end()
  const took = elapsed()
  await Promise.all([http.close(), websocket.close()])
  return { memory, seconds: took }
}

async function run (args: Arguments): Promise<void> {
  const { environment } = args
  const out = args.values['out'] === undefined
    ? join(packageRoot, 'bench', 'out', `soak-${environment.date.replaceAll(':', '-')}`)
    : args.text('out')
  const over = new AbortController()
  interruption(() => { over.abort() })
  const target = await startTarget(['--prefix-cache-bytes', String(limits.prefixCacheBytes), '--kv-cache-bytes',
    String(limits.kvCacheBytes)], collectGarbage)
  try {
    const mix: Mix = {
      model: await modelOf(target.url),
      maxTokens: args.integer('max-tokens'),
      reward: args.text('reward'),
      tallies: new Map(),
      unasked: []
    }
    const { memory, seconds } = await load(target, mix, args, over)
    const soak = {
      environment, tallies: mix.tallies, unasked: mix.unasked, memory, left: await settled(target.url), seconds
    }
    console.log(await writeSoak(out, soak))
    const failures = failuresOf(soak)
    console.log(failures.length === 0 ? 'passed' : `failed: ${failures.join('; ')}`)
    if (failures.length > 0) process.exitCode = 1
  } finally {
    await target.stop()
  }
}

await runProgram({
  command: 'npm run soak --',
  summary: 'Mixed load with random aborts: errors, memory and KV that does not come back',
  options,
  run
})
