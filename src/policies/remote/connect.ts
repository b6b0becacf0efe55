/** Connects to an engine elsewhere: waits until a replica answers, probes it, makes sure that the others are alike. */
import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { RequestError } from '../../errors.js'
import { EngineFailure } from './engine-failure.js'
import { findFiles, probe, type Probed, type ProbeTokenizer } from './probe.js'
import { RemoteEngine, type EngineReport } from './remote-engine.js'
import { Replica, type ReplicaOptions } from './replica.js'

export interface EngineAddress {
  /** Base URLs of its replicas. */
  readonly urls: readonly string[]
  /** What the engine calls the model; null for the only one that it has. */
  readonly model: string | null
}

export interface ConnectOptions extends ReplicaOptions {
  /** How long to wait for an engine that does not answer yet, ms. */
  readonly waitMs: number
  readonly onProgress: (message: string) => void
}

/** Between two tries, ms. */
const retryMs = 500

/** The first replica that is well. @throws RequestError where none is in time */
async function firstWell (
  replicas: readonly Replica[], { waitMs, onProgress }: ConnectOptions
): Promise<Replica> {
  const end = performance.now() + waitMs
  const urls = replicas.map(({ url }) => url).join(', ')
  for (let tries = 0; ; tries++) {
    const well = await Promise.all(replicas.map(replica => replica.check()))
    const found = replicas.find((_, index) => well[index])
    if (found) return found
    if (performance.now() >= end) {
      throw new RequestError('unavailable', `policy: no inference engine answers at ${urls}`, { param: 'policy' })
    }
    if (tries === 0) onProgress(`waiting for the inference engine at ${urls}`)
    await pause(retryMs)
  }
}

/** Differences between replicas that would show in answers. */
function difference (one: EngineReport, other: EngineReport): string | null {
  for (const key of ['server', 'protocol', 'contextLength', 'alternatives'] as const) {
    if (one[key] !== other[key]) return `${key} is ${one[key]} and ${other[key]}`
  }
  const fields = one.fields.filter(field => !other.fields.includes(field))
  if (one.heads.join() !== other.heads.join()) return `heads are ${one.heads.join()} and ${other.heads.join()}`
  return fields.length > 0 ? `only the first has ${fields.join(', ')}` : null
}

/** @throws RequestError for a replica that differs from the first; EngineFailure for one that does not answer */
async function checkAlike (
  first: Replica, { report, heads }: Probed, replica: Replica, model: string | null, tokenizer: ProbeTokenizer
): Promise<void> {
  const other = await probe(replica, model, tokenizer)
  const unlike = difference(report, other.report) ?? (isDeepStrictEqual(heads?.all, other.heads?.all)
    ? null
    : 'heads of the same names are of other descriptors, or other versions of the plugin')
  if (unlike === null) return
  throw new RequestError('invalid_request', `policy: ${first.url} and ${replica.url} must be replicas: ${unlike}`,
    { param: 'policy' })
}

/** Makes an engine's failure the request's. */
const unanswered = (urls: readonly string[], error: unknown): unknown => error instanceof EngineFailure
  ? new RequestError('unavailable', `policy: the inference engine at ${urls.join(', ')} ${error.message}`,
    { param: 'policy', cause: error })
  : error

/**
 * Where an engine says that its model's files are; null where it does not say.
 * @throws RequestError where it does not answer, or has no such model
 */
export async function askForFiles ({ urls, model }: EngineAddress, options: ConnectOptions): Promise<string | null> {
  const replicas = urls.map(url => new Replica(url, options))
  try {
    return await findFiles(await firstWell(replicas, options), model)
  } catch (error) {
    throw unanswered(urls, error)
  } finally {
    await Promise.all(replicas.map(replica => replica.close()))
  }
}

/** @throws RequestError for engines that do not fit, and for replicas that differ */
export async function connectEngine (
  { urls, model }: EngineAddress, tokenizer: ProbeTokenizer, options: ConnectOptions
): Promise<RemoteEngine> {
  const replicas = urls.map(url => new Replica(url, options))
  try {
    const first = await firstWell(replicas, options)
    const probed = await probe(first, model, tokenizer)
    const { protocol, report, heads } = probed
    const notes = [...report.notes]
    for (const replica of replicas.filter(one => one !== first)) {
      const check = (): Promise<void> => checkAlike(first, probed, replica, model, tokenizer)
      if (replica.isWell) await check()
      else {
        notes.push(`${replica.url} did not answer: it is used once it does, if it is a replica`)
        let said = ''
        replica.admitAfter(() => check().then(() => true, (error: unknown) => {
          // It is looked at again and again: what is wrong is told once.
          if (error instanceof RequestError && error.message !== said) options.onProgress(said = error.message)
          return false
        }))
      }
    }
    return new RemoteEngine(replicas, protocol, { ...report, urls, notes }, heads)
  } catch (error) {
    await Promise.all(replicas.map(replica => replica.close()))
    throw unanswered(urls, error)
  }
}
