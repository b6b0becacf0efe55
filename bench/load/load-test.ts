/** Sends the loads of a plan to servers, one after the other, and keeps what was measured. Knows no report. */
import { join } from 'node:path'
import { say } from '../../src/cli/command.js'
import { loadConfig } from '../../src/config.js'
import { Progress } from '../../src/reporting/progress.js'
import { checkLoopback, modelOf, runningTarget, startTarget, type Target } from '../harness/server-process.js'
import { installGuidellm } from '../peers/install.js'
import { engineAlone, servedLoads, servedOf, turns, type EngineTurn } from './beside-engine.js'
import { httpClient, websocketClient } from './clients.js'
import { runGuidellm, type CrossCheck } from './guidellm.js'
import { closedLoop, openLoop } from './loops.js'
import { defaultConfiguration, measure, type LoadSamples, type Measurement, type Objectives } from './measurement.js'
import { rateOf, type Configuration, type PlannedLoad } from './plan.js'
import { scenariosOf, type LoadLimits, type Scenario } from './scenarios.js'

export interface LoadTestOptions {
  /** Address of a server that runs; null to start one for each configuration. */
  readonly url: string | null
  /** Of the servers that are started, and of the engine alone. */
  readonly flags: readonly string[]
  /** Requests of a load of chats. */
  readonly requests: number
  readonly maxTokens: number
  readonly maxSeconds: number
  readonly objectives: Objectives
  /** The most requests in flight, at which the engine alone and guidellm are compared with. */
  readonly largest: number
  readonly guidellm: boolean
}

/** Over WebSockets every answer comes in pieces; the field is HTTP's. */
function withoutStream (
  { stream: _, stream_options: __, ...body }: Record<string, unknown>
): Record<string, unknown> { return body }

/** @param body of the i-th request */
async function send (
  url: string, { transport, loop }: PlannedLoad, level: number, body: (index: number) => Record<string, unknown>,
  limits: LoadLimits
): Promise<LoadSamples> {
  const client = transport === 'http' ? httpClient(url) : await websocketClient(url, loop === 'closed' ? level : 64)
  const asked = transport === 'http' ? body : (index: number) => withoutStream(body(index))
  try {
    return await (loop === 'closed' ? closedLoop : openLoop)(client.send, asked, level, limits)
  } finally {
    await client.close()
  }
}

const plainHttp: PlannedLoad = { scenario: '', transport: 'http', loop: 'closed', level: 1 }

export class LoadTest {
  readonly #options: LoadTestOptions
  readonly #signal: AbortSignal
  readonly #progress = new Progress()
  /** Loads sent so far: prompts of loads differ, so that none finds another's in the prefix cache. */
  #loads = 0
  #planned = 0
  readonly measurements: Measurement[] = []
  readonly engineTurns: EngineTurn[] = []
  crossCheck: CrossCheck | null = null

  constructor (options: LoadTestOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
  }

  /** @param onLoad called after each load */
  async run (plan: readonly Configuration[], onLoad: () => void): Promise<void> {
    const total = plan.reduce((sum, { loads }) => sum + loads.length, 0)
    for (const configuration of plan) {
      if (!this.#signal.aborted) await this.#configuration(configuration, total, onLoad)
    }
    this.#progress.end()
  }

  async #configuration (
    { name, flags, loads, besideEngine }: Configuration, total: number, onLoad: () => void
  ): Promise<void> {
    const { url, maxTokens, flags: given } = this.#options
    const target = url === null ? await startTarget([...given, ...flags]) : runningTarget(checkLoopback(url))
    try {
      const model = await modelOf(target.url)
      const scenarios = scenariosOf({ model, maxTokens })
      const scenarioOf = (wanted: string): Scenario => scenarios.find(one => one.name === wanted)!
      for (const planned of loads) {
        if (this.#signal.aborted) return
        this.#progress.tell('loads', this.#planned++, total)
        const measured = await this.#measure(target, name, planned, scenarioOf(planned.scenario))
        if (measured) this.measurements.push(measured)
        onLoad()
      }
      if (besideEngine) await this.#besideEngine(target, scenarioOf('streaming'))
      if (name === defaultConfiguration && this.#options.guidellm && !this.#signal.aborted) {
        await this.#besideGuidellm(target, model, scenarioOf('streaming'))
          .catch((error: unknown) => { if (!this.#signal.aborted) throw error })
      }
    } finally {
      await target.stop()
    }
  }

  /**
   * Requests of a load: as many as asked for, a quarter where they go one by one, fewer where they are heavy; two
   * rounds at least, of searches one, each being many rows.
   */
  #requests (level: number, weight: number): number {
    const { requests } = this.#options
    const rounds = weight < 4 ? 2 : 1
    return Math.max(Math.ceil((level === 1 ? requests / 4 : requests) / weight), rounds * Math.ceil(level))
  }

  /** One request for each in flight, short: what a shape of step needs is compiled before it counts. */
  async #warmUp (url: string, level: number, { body }: Scenario): Promise<void> {
    await send(url, plainHttp, level, index => ({ ...body(1_000_000 + index), max_tokens: 4 }),
      { requests: level, maxSeconds: 60, signal: this.#signal })
  }

  /**
   * Null for what was cut off before anybody was answered, which says nothing, and for an open load whose rate is not
   * known.
   */
  async #measure (
    target: Target, configuration: string, planned: PlannedLoad, scenario: Scenario
  ): Promise<Measurement | null> {
    const { maxSeconds, objectives } = this.#options
    const { transport, loop } = planned
    const level = loop === 'open' ? rateOf(planned, this.measurements) : planned.level
    if (level === null) return null
    if (loop === 'closed') await this.#warmUp(target.url, level, scenario)
    // Chance evens out over more requests than a closed load needs.
    const requests = loop === 'open' ? 3 * this.#requests(2, scenario.weight) : this.#requests(level, scenario.weight)
    const first = this.#loads++ * 10_000
    const samples = await send(target.url, planned, level, index => scenario.body(first + index),
      { requests, maxSeconds, signal: this.#signal })
    if (this.#signal.aborted && samples.answered.length === 0) return null
    return measure({ configuration, scenario: scenario.name, transport, loop, level }, samples, scenario, objectives)
  }

  /** The server and its engine alone, in turns. */
  async #besideEngine (target: Target, streaming: Scenario): Promise<void> {
    const { largest, maxTokens, flags } = this.#options
    const loads = servedLoads(largest)
    const like = this.measurements.find(one => one.configuration === defaultConfiguration &&
      one.scenario === streaming.name && one.transport === 'http' && one.level === largest)
    if (!like) return
    for (let turn = 0; turn < turns && !this.#signal.aborted; turn++) {
      this.#progress.tell('turns with the engine alone', turn, turns)
      target.pause()
      const engine = await engineAlone(like, maxTokens, flags, this.#signal)
        .catch((error: unknown) => { if (this.#signal.aborted) return null; throw error })
      target.goOn()
      if (engine === null) return
      const served: Measurement[] = []
      for (const planned of loads) {
        const measured = await this.#measure(target, defaultConfiguration, planned, streaming)
        if (measured) served.push(measured)
      }
      if (!this.#signal.aborted) this.engineTurns.push({ level: like.level, engine, served: served.map(servedOf) })
    }
  }

  /** guidellm between two loads of ours, of the same kind. */
  async #besideGuidellm (target: Target, model: string, streaming: Scenario): Promise<void> {
    const { largest: level, maxTokens } = this.#options
    const program = await installGuidellm(join(loadConfig().cacheDir, 'peers'), say)
    const planned = servedLoads(level)[0]!
    const ours = async (): Promise<number> =>
      (await this.#measure(target, defaultConfiguration, planned, streaming))?.outputTokensPerSecond ?? 0
    this.#progress.tell('guidellm', 0, 1)
    const before = await ours()
    const first = this.#loads++ * 10_000
    const prompts = Array.from({ length: this.#requests(level, streaming.weight) }, (_, index) =>
      (streaming.body(first + index)['messages'] as Array<{ content: string }>)[0]!.content)
    const guidellm =
      await runGuidellm(program, { url: target.url, model, prompts, level, maxTokens, signal: this.#signal })
    this.crossCheck = { level, ours: [before, await ours()], guidellm }
  }
}
