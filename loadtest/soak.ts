/**
 * `npm run soak`: ten minutes of mixed load with random aborts. Passes if nobody got an error that was not asked for,
 * memory did not grow beyond noise and all KV came back. Starts its own server, since it watches its memory.
 */
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeOptions, integerOption, parseOptions, type Options, type Values } from '../src/cli/options.js'
import { RequestError } from '../src/errors.js'
import { packageRoot } from '../src/package-root.js'
import { describeEnvironment, environmentOf, type Environment } from '../src/reporting/environment.js'
import { markdownTable } from '../src/reporting/markdown.js'
import { writePlot } from '../src/reporting/plot.js'
import { Progress } from '../src/reporting/progress.js'
import { uniform } from '../src/statistics/random.js'
import { httpClient, websocketClient, type Send } from './clients.js'
import { engineState, modelOf, startTarget, type EngineState, type Target } from './server-process.js'
import { aborted, drawRequest, type SoakKind } from './soak-requests.js'
import { memoryGrowth, tolerated, type MemorySample } from './soak-memory.js'

const options: Options = {
  seconds: { type: 'string', help: 'how long', default: '600' },
  'in-flight': { type: 'string', help: 'requests in flight, half of them over WebSockets', default: '16' },
  'max-tokens': { type: 'string', help: 'tokens of an answer, at most', default: '48' },
  reward: { type: 'string', help: 'reward that steers the guided ones', default: 'positive' },
  seed: { type: 'string', help: 'same seed, same requests and aborts', default: '1' },
  out: { type: 'string', help: 'folder of the report', default: 'loadtest/out/soak-TIME' }
}

/** What became of the requests of one kind. */
interface Tally { answered: number, aborted: number, refused: number }

interface Soak {
  readonly environment: Environment
  readonly tallies: ReadonlyMap<SoakKind, Tally>
  /** Messages of errors that were not asked for. */
  readonly unasked: readonly string[]
  readonly memory: readonly MemorySample[]
  /** The engine after the load; null where it did not answer. */
  readonly left: EngineState | null
  readonly seconds: number
}

/** Prompts are all different: a cache of the usual size would still be filling, and memory growing, at the end. */
const prefixCacheBytes = 32 << 20
/** Slots of KV keep the memory that their largest user took, up to an eighth of this: enough for what `crowd` takes. */
const kvCacheBytes = 2 ** 33
/**
 * More sequences than there are slots, in requests too narrow to store their prompt once, and longer than any that
 * follows.
 */
const crowd = { requests: 3, choices: 64, moreTokens: 16 } as const

/** The server collects its garbage so often, seconds: what is used of V8's heap is then what is needed. */
const collectEvery = 5
const collectGarbage = ['--expose-gc', '--import',
  `data:text/javascript,setInterval(gc, ${collectEvery * 1000}).unref()`] as const

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

const message = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** Sends requests one after the other until the time is over, and tells what became of each. */
async function lane (
  send: Send, streams: boolean, model: string, values: Values, index: number, until: AbortSignal,
  tallies: Map<SoakKind, Tally>, unasked: string[]
): Promise<void> {
  const random = uniform(integerOption(values, 'seed', 1, 0) * 1000 + index)
  const [maxTokens, reward] = [integerOption(values, 'max-tokens', 48), String(values['reward'] ?? 'positive')]
  while (!until.aborted) {
    const { kind, body, abortAfterMs, refusal } = drawRequest(random, { model, maxTokens, reward, streams })
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
      else unasked.push(`${kind}: ${message(error)}`)
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

/** What did not hold, in words; nothing where the soak passed. */
function failuresOf ({ unasked, memory, left, tallies }: Soak): string[] {
  const growth = memoryGrowth(memory)
  const answered = [...tallies.values()].reduce((sum, tally) => sum + tally.answered, 0)
  return [
    ...answered === 0 ? ['nobody was answered'] : [],
    ...unasked.length > 0 ? [`${unasked.length} errors that were not asked for, such as ${unasked[0]!}`] : [],
    ...growth && growth.leaks
      ? [`memory grew by ${growth.megabytesPerMinute.toFixed(1)} ± ${growth.standardError.toFixed(1)} MB a minute`]
      : [],
    ...left === null ? ['the server did not answer after the load'] : [],
    ...left && (left.sequences > 0 || left.kvTokens > 0 || left.runningRequests > 0)
      ? [`after the load ${left.runningRequests} requests, ${left.sequences} sequences and ${left.kvTokens} tokens ` +
        'of KV were left']
      : []
  ]
}

async function writeSoak (folder: string, soak: Soak): Promise<string> {
  const failures = failuresOf(soak)
  const growth = memoryGrowth(soak.memory)
  await writePlot(join(folder, 'plots', 'memory.svg'), {
    title: 'Memory of the server',
    x: { label: 'minutes' },
    y: { label: 'MB' },
    series: [{
      name: 'resident, less what V8 does not use',
      kind: 'line',
      points: soak.memory.map(({ seconds, bytes }) => ({ x: seconds / 60, y: bytes / 1e6 }))
    }]
  })
  writeFileSync(join(folder, 'report.json'),
    `${JSON.stringify({ ...soak, tallies: Object.fromEntries(soak.tallies), growth, failures }, null, 1)}\n`)
  const file = join(folder, 'REPORT.md')
  writeFileSync(file, `# Soak: ${(soak.seconds / 60).toFixed(1)} minutes of mixed load with random aborts

${failures.length === 0 ? '**Passed**' : `**Failed**: ${failures.join('; ')}`}

${describeEnvironment(soak.environment)}

${markdownTable(['kind', 'answered', 'aborted', 'refused, as asked for'], [...soak.tallies].sort(([a], [b]) => a < b ? -1 : 1).map(([kind, tally]) => [kind, String(tally.answered), String(tally.aborted), String(tally.refused)]))}

Errors that were not asked for: ${soak.unasked.length}. What the server may keep is full from the start: its prefix cache is limited to ${prefixCacheBytes >> 20} MiB, and ${crowd.requests * crowd.choices} answers at once took KV before the clock ran. It collects its garbage every ${collectEvery} seconds. Memory, less what V8 has reserved and does not use${growth ? `, second half: ${growth.megabytesPerMinute.toFixed(2)} ± ${growth.standardError.toFixed(2)} MB a minute (slope and its standard error; more than ${tolerated} beyond two standard errors is a leak)` : ' was not watched long enough to tell'}. After the load: ${soak.left ? `${soak.left.sequences} sequences, ${soak.left.kvTokens} tokens of KV held by them` : 'no answer'}.

![memory](plots/memory.svg)
`)
  return file
}

async function run (values: Values, args: readonly string[]): Promise<void> {
  const environment = environmentOf('npm run soak --', args)
  const out =
    String(values['out'] ?? join(packageRoot, 'loadtest', 'out', `soak-${environment.date.replaceAll(':', '-')}`))
  const [seconds, inFlight] = [integerOption(values, 'seconds', 600), integerOption(values, 'in-flight', 16, 2)]
  const over = new AbortController()
  process.once('SIGINT', () => { over.abort() })
  const target = await startTarget(
    ['--prefix-cache-bytes', String(prefixCacheBytes), '--kv-cache-bytes', String(kvCacheBytes)], collectGarbage
  )
  const [tallies, unasked, memory] = [new Map<SoakKind, Tally>(), [] as string[], [] as MemorySample[]]
  const progress = new Progress()
  try {
    const model = await modelOf(target.url)
    const sockets = Math.floor(inFlight / 2)
    const [http, websocket] = [httpClient(target.url), await websocketClient(target.url, sockets)]
    progress.tell('filling the KV cache', 0, 1)
    await fillSlots(http.send, model, integerOption(values, 'max-tokens', 48), over.signal)
    const started = performance.now()
    const elapsed = (): number => (performance.now() - started) / 1000
    const watch = setInterval(() => {
      // A server that does not answer is seen by those who send requests.
      heldBytes(target).then(bytes => { if (bytes !== null) memory.push({ seconds: elapsed(), bytes }) }, () => {})
      progress.tell('seconds', Math.min(seconds, Math.floor(elapsed())), seconds)
    }, 1000)
    const timer = setTimeout(() => { over.abort() }, seconds * 1000)
    await Promise.all(Array.from({ length: inFlight }, (_, index) => lane(index < sockets ? websocket.send : http.send,
      index >= sockets, model, values, index, over.signal, tallies, unasked)))
    clearTimeout(timer)
    clearInterval(watch)
    progress.end()
    const took = elapsed()
    await Promise.all([http.close(), websocket.close()])
    const soak: Soak = { environment, tallies, unasked, memory, left: await settled(target.url), seconds: took }
    console.log(await writeSoak(out, soak))
    const failures = failuresOf(soak)
    console.log(failures.length === 0 ? 'passed' : `failed: ${failures.join('; ')}`)
    if (failures.length > 0) process.exitCode = 1
  } finally {
    await target.stop()
  }
}

try {
  const args = process.argv.slice(2)
  const { values } = parseOptions({ options, maxPositionals: 0 }, args)
  if (values['help'] === true) {
    console.log('npm run soak -- [OPTIONS]\n\nMixed load with random aborts: errors, memory and KV that does not ' +
      `come back\n\n${describeOptions(options)}`)
  } else await run(values, args)
} catch (error) {
  process.stderr.write(`soak: ${message(error)}\n`)
  process.exitCode = error instanceof RequestError ? 2 : 1
}
