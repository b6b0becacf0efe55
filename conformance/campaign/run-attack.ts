/** One attack beside the canary: what it did to others, and whether the server is as it was when it is over. */
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../../src/reporting/spread.js'
import { uniform } from '../../src/statistics/random.js'
import { makeAttacker, type Attack, type Tally } from './attack.js'
import { startCanary, type CanaryFigures } from './canary.js'
import type { Victim } from './target.js'

/** How often others would ask: a probe, and the reader of a stream for its next piece, ms. */
const [healthEveryMs, gapEveryMs] = [25, 100]

/** What the canary saw, ms. */
export interface Waits {
  readonly health: { readonly p50: number, readonly p99: number, readonly longest: number }
  readonly gaps: { readonly p50: number, readonly p99: number, readonly longest: number }
  /** Longest from a stream's request to its first piece. */
  readonly firstToken: number
  readonly refused: readonly string[]
}

/** Memory of the server, bytes; null where the system does not say, or the server no longer answers. */
export interface Memory { readonly resident: number | null, readonly heap: number | null }

export interface Outcome {
  readonly name: string
  readonly seconds: number
  readonly waits: Waits
  readonly tally: Tally
  /** Resident memory at its highest while the attack went on, bytes. */
  readonly most: number | null
  /** Once the server was left alone. */
  readonly after: Memory
  /** How long it took until the server was as before, seconds; null where it was not within a minute. */
  readonly recovered: number | null
  readonly isAlive: boolean
}

function summary (values: readonly number[]): Waits['health'] {
  if (values.length === 0) return { p50: NaN, p99: NaN, longest: NaN }
  const longest = values.reduce((most, value) => Math.max(most, value), 0)
  return { p50: quantile(values, 0.5), p99: quantile(values, 0.99), longest }
}

/**
 * A wait of a second is one of many that those would have had who had asked meanwhile: it counts as often as somebody
 * could have asked, once every `every` ms. Else one wait of half a minute among a thousand short ones would be nothing.
 */
export const asAsked = (waits: readonly number[], every: number): number[] => waits.flatMap(wait =>
  Array.from({ length: Math.max(1, Math.floor(wait / every)) }, (_, index) => wait - index * every))

export const waitsOf = ({ health, gaps, firstTokens, refused }: CanaryFigures): Waits => ({
  health: summary(asAsked(health, healthEveryMs)),
  gaps: summary(asAsked(gaps, gapEveryMs)),
  firstToken: Math.max(0, ...firstTokens),
  refused
})

/** How long the server may take to answer whether it is well, ms. */
const answerMs = 2000

/** Heap of the main thread that is in use, bytes, and requests that hold KV; nulls where /metrics does not answer. */
async function loadOf ({ url, keys }: Victim): Promise<{ heap: number | null, running: number | null }> {
  try {
    const response = await fetch(`${url}/metrics`,
      { headers: { authorization: `Bearer ${keys.admin}` }, signal: AbortSignal.timeout(answerMs) })
    const text = await response.text()
    return {
      heap: Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(text)?.[1]),
      running: Number(/^\w+num_requests_running\{[^}]*\} (\S+)$/m.exec(text)?.[1])
    }
  } catch {
    return { heap: null, running: null }
  }
}

/** Whether the model takes requests: its thread may have ended. */
async function isReady ({ url }: Victim): Promise<boolean> {
  return fetch(`${url}/ready`, { signal: AbortSignal.timeout(answerMs) }).then(({ ok }) => ok, () => false)
}

export async function memoryOf (victim: Victim): Promise<Memory> {
  return { resident: victim.residentBytes(), heap: (await loadOf(victim)).heap }
}

/** Starts the canary against a server. */
const canaryOf = ({ url, keys, model }: Victim): ReturnType<typeof startCanary> =>
  startCanary({ url, key: keys.canary, model })

/** The canary alone for so long. */
export async function soloWaits (victim: Victim, seconds: number): Promise<Waits> {
  const stop = canaryOf(victim)
  await sleep(seconds * 1000)
  return waitsOf(await stop())
}

/** Watches a server's resident memory until it is told to stop. @returns the most it was */
function watchResident (victim: Victim): () => number | null {
  let most = victim.residentBytes()
  const timer = setInterval(() => {
    const now = victim.residentBytes()
    if (now !== null) most = Math.max(most ?? 0, now)
  }, 50)
  return () => { clearInterval(timer); return most }
}

/** How long the server has to be as before, s. */
const recoveryS = 60

/** Memory that may stay in use after an attack, bytes: bounded stores, and what the heap does not give back. */
export const kept = { resident: 640 << 20, heap: 160 << 20 } as const

/** Whether a server answers, has nothing left to do and holds about as little memory as before. */
async function isWell (victim: Victim, before: Memory): Promise<{ well: boolean, memory: Memory }> {
  const { heap, running } = await loadOf(victim)
  const memory = { resident: victim.residentBytes(), heap }
  const well = await isReady(victim) && running === 0 && memory.heap !== null &&
    memory.heap <= (before.heap ?? Infinity) + kept.heap &&
    (memory.resident === null || memory.resident <= (before.resident ?? Infinity) + kept.resident)
  return { well, memory }
}

async function recovery (
  victim: Victim, before: Memory, patienceS: number
): Promise<Pick<Outcome, 'after' | 'recovered'>> {
  const began = performance.now()
  for (;;) {
    const { well, memory } = await isWell(victim, before)
    const seconds = (performance.now() - began) / 1000
    if (well) return { after: memory, recovered: seconds }
    if (seconds > patienceS || !victim.isRunning()) return { after: memory, recovered: null }
    await sleep(1000)
  }
}

export interface RunOptions {
  /** Same seed, same attack. */
  readonly seed: number
  /** How long an attack may go on, s. */
  readonly seconds: number
  /** How long it goes on at least, so that the canary has seen enough, s. */
  readonly least: number
}

/** Runs an attack and waits until the server is as it was before. */
export async function runAttack (
  victim: Victim, attack: Attack, before: Memory, { seed, seconds, least }: RunOptions
): Promise<Outcome> {
  const over = AbortSignal.timeout(seconds * (attack.longer ?? 1) * 1000)
  const { attacker, close } = makeAttacker(victim, uniform(seed), over)
  const [stopCanary, stopWatch, began] = [canaryOf(victim), watchResident(victim), performance.now()]
  await sleep(300)
  await attack.run(attacker)
  const took = (performance.now() - began) / 1000
  if (took < least) await sleep((least - took) * 1000)
  const waits = waitsOf(await stopCanary())
  const resident = stopWatch()
  await close()
  return {
    name: attack.name,
    seconds: took,
    waits,
    tally: attacker.tally,
    most: resident,
    ...await recovery(victim, before, recoveryS),
    isAlive: victim.isRunning()
  }
}
