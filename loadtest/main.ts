/**
 * `npm run loadtest`: starts the compiled server on a free loopback port, or takes `--url` of one on this machine,
 * drives it, and writes a report with plots. Bounded in count and time; Ctrl-C leaves a report of what was measured.
 * The load generator shares the machine with the server.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  describeOptions, integerOption, integersOption, parseOptions, type Options, type Values
} from '../src/cli/options.js'
import { loadConfig } from '../src/config.js'
import { RequestError } from '../src/errors.js'
import { packageRoot } from '../src/package-root.js'
import { environmentOf } from '../src/reporting/environment.js'
import { Progress } from '../src/reporting/progress.js'
import { refuse } from '../src/validation.js'
import { engineAlone, servedLoads, servedOf, turns, type EngineTurn } from './beside-engine.js'
import { httpClient, websocketClient } from './clients.js'
import { closedHttp } from './closed-http.js'
import { agreement, runGuidellm, type CrossCheck } from './guidellm.js'
import { closedLoop, openLoop } from './loops.js'
import { measure, type LoadSamples, type Measurement, type Objectives } from './measurement.js'
import { installGuidellm } from './peers/install.js'
import { planOf, rateOf, type Configuration, type PlannedLoad } from './plan.js'
import {
  capacityOf, compare, comparisonHead, defaultConfiguration, engineRows, tableOf, writeFigures, writeReport,
  type LoadReport
} from './report.js'
import { scenariosOf, type LoadLimits, type Scenario } from './scenarios.js'
import { checkLoopback, modelOf, runningTarget, startTarget, type Target } from './server-process.js'

const allScenarios = scenariosOf({ model: '', maxTokens: 1 }).map(({ name }) => name)

const options: Options = {
  url: {
    type: 'string',
    help: 'server to drive; must be on this machine; nothing is switched off then',
    default: 'one that is started for it'
  },
  scenarios: { type: 'string', help: `by commas: ${allScenarios.join(', ')}`, default: 'all' },
  concurrency: { type: 'string', help: 'requests in flight, by commas', default: '1,8,32' },
  requests: {
    type: 'string',
    help: 'requests of a load of chats, a quarter of it one by one; fewer of heavier ones; at least two rounds',
    default: '48'
  },
  'max-tokens': { type: 'string', help: 'tokens of an answer', default: '32' },
  'max-seconds': { type: 'string', help: 'time of a load, at most', default: '60' },
  open: {
    type: 'string',
    help: 'open loop: shares of the capacity that the closed loop found, in percent, by commas',
    default: '50,80'
  },
  slo: {
    type: 'string',
    help: 'objectives that goodput counts, ms: ttft=…,tpot=…,latency=…',
    default: 'ttft=2000,tpot=100,latency=30000'
  },
  'skip-ablations': {
    type: 'boolean',
    help: 'leave out the servers with batching, the prefix cache or shared prompts off, and the turns with the ' +
      'engine alone'
  },
  guidellm: {
    type: 'boolean',
    help: 'check tokens/s against guidellm (PyPI), which is installed into the cache folder on first use: some ' +
      'gigabytes'
  },
  compare: { type: 'string', help: 'report.json of an earlier run: prints ratios' },
  out: { type: 'string', help: 'folder of the report', default: 'loadtest/out/TIME' }
}

const say = (message: string): void => { process.stderr.write(`${message}\n`) }

function chosenScenarios (values: Values): string[] {
  if (values['scenarios'] === undefined || values['scenarios'] === 'all') return allScenarios
  const names = String(values['scenarios']).split(',')
  const unknown = names.find(name => !allScenarios.includes(name))
  if (unknown !== undefined) throw refuse('--scenarios', `must be some of ${allScenarios.join(', ')}`, unknown)
  return names
}

function objectivesOf (values: Values): Objectives {
  const objectives: Record<string, number> = { ttft: 2000, tpot: 100, latency: 30000 }
  for (const part of values['slo'] === undefined ? [] : String(values['slo']).split(',')) {
    const [name, value] = part.split('=')
    if (!Object.hasOwn(objectives, name!) || !(Number(value) > 0)) {
      throw refuse('--slo', 'must be ttft=MS, tpot=MS and latency=MS by commas', values['slo'])
    }
    objectives[name!] = Number(value)
  }
  return objectives as unknown as Objectives
}

function earlierOf (values: Values): readonly Measurement[] {
  if (values['compare'] === undefined) return []
  const file = String(values['compare'])
  try {
    const { measurements } = JSON.parse(readFileSync(file, 'utf8')) as Partial<LoadReport>
    if (!Array.isArray(measurements)) throw new Error('it holds no measurements')
    return measurements
  } catch (cause) {
    throw new RequestError('invalid_request',
      `--compare ${file} is no report: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** Over WebSockets every answer comes in pieces; the field is HTTP's. */
function withoutStream (
  { stream: _, stream_options: __, ...body }: Record<string, unknown>
): Record<string, unknown> { return body }

/**
 * @param first number of the first request: prompts of loads differ, so that none finds another's in the prefix cache
 */
async function send (
  url: string, { transport, loop }: PlannedLoad, level: number, scenario: Scenario, first: number, limits: LoadLimits
): Promise<LoadSamples> {
  const body = (index: number): Record<string, unknown> => scenario.body(first + index)
  if (transport === 'http' && loop === 'closed') return closedHttp(url, body, level, limits)
  const client = transport === 'http' ? httpClient(url) : await websocketClient(url, loop === 'closed' ? level : 64)
  const asked = transport === 'http' ? body : (index: number) => withoutStream(body(index))
  try {
    return await (loop === 'closed' ? closedLoop : openLoop)(client.send, asked, level, limits)
  } finally {
    await client.close()
  }
}

/** One request for each in flight, short: what a shape of step needs is compiled before it counts. */
async function warmUp (url: string, level: number, { body }: Scenario, signal: AbortSignal): Promise<void> {
  const client = httpClient(url)
  const short = (index: number): object => ({ ...body(1_000_000 + index), max_tokens: 4 })
  try {
    await closedLoop(client.send, short, level, { requests: level, maxSeconds: 60, signal })
  } finally {
    await client.close()
  }
}

class LoadTest {
  readonly #values: Values
  readonly #signal: AbortSignal
  readonly #maxTokens: number
  readonly #objectives: Objectives
  readonly #progress = new Progress()
  /** Loads sent so far. */
  #loads = 0
  readonly measurements: Measurement[] = []
  readonly engineTurns: EngineTurn[] = []
  crossCheck: CrossCheck | null = null

  constructor (values: Values, signal: AbortSignal) {
    this.#values = values
    this.#signal = signal
    this.#maxTokens = integerOption(values, 'max-tokens', 32, 2)
    this.#objectives = objectivesOf(values)
  }

  /**
   * Requests of a load: as many as asked for, a quarter where they go one by one, fewer where they are heavy; two
   * rounds at least, of searches one, each being many rows.
   */
  #requests (level: number, weight: number): number {
    const most = integerOption(this.#values, 'requests', 48)
    return Math.max(Math.ceil((level === 1 ? most / 4 : most) / weight), (weight < 4 ? 2 : 1) * Math.ceil(level))
  }

  /**
   * Null for what was cut off before anybody was answered, which says nothing, and for an open load whose rate is not
   * known.
   */
  async #measure (target: Target, configuration: string, planned: PlannedLoad, scenario: Scenario): Promise<Measurement
    | null> {
    const level = planned.loop === 'open' ? rateOf(planned, this.measurements) : planned.level
    if (level === null) return null
    const maxSeconds = integerOption(this.#values, 'max-seconds', 60)
    if (planned.loop === 'closed') await warmUp(target.url, level, scenario, this.#signal)
    // Chance evens out over more requests than a closed load needs.
    const requests =
      planned.loop === 'open' ? 3 * this.#requests(2, scenario.weight) : this.#requests(level, scenario.weight)
    const samples = await send(target.url, planned, level, scenario, this.#loads++ * 10_000,
      { requests, maxSeconds, signal: this.#signal })
    if (this.#signal.aborted && samples.answered.length === 0) return null
    return measure({ configuration, scenario: scenario.name, transport: planned.transport, loop: planned.loop, level },
      samples, scenario, this.#objectives)
  }

  /** The server and its engine alone, in turns. */
  async #besideEngine (target: Target, streaming: Scenario): Promise<void> {
    const loads = servedLoads(Math.max(...integersOption(this.#values, 'concurrency', '1,8,32')))
    const like = this.measurements.find(one => one.configuration === defaultConfiguration &&
      one.scenario === streaming.name && one.transport === 'http' && one.level === loads[0]!.level)
    if (!like) return
    for (let turn = 0; turn < turns && !this.#signal.aborted; turn++) {
      this.#progress.tell('turns with the engine alone', turn, turns)
      target.pause()
      const engine = await engineAlone(like, this.#maxTokens,
        this.#signal).catch((error: unknown) => { if (this.#signal.aborted) return null; throw error })
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
    const program = await installGuidellm(join(loadConfig().cacheDir, 'peers'), say)
    const planned = servedLoads(Math.max(...integersOption(this.#values, 'concurrency', '1,8,32')))[0]!
    const ours = async (): Promise<number> =>
      (await this.#measure(target, defaultConfiguration, planned, streaming))?.outputTokensPerSecond ?? 0
    this.#progress.tell('guidellm', 0, 1)
    const before = await ours()
    const prompts = Array.from({ length: this.#requests(planned.level, streaming.weight) }, (_, index) =>
      (streaming.body(this.#loads * 10_000 + index)['messages'] as Array<{ content: string }>)[0]!.content)
    this.#loads++
    const guidellm = await runGuidellm(program,
      { url: target.url, model, prompts, level: planned.level, maxTokens: this.#maxTokens, signal: this.#signal })
    this.crossCheck = { level: planned.level, ours: [before, await ours()], guidellm }
  }

  async #configuration (
    { name, flags, loads, besideEngine }: Configuration, done: { loads: number }, total: number, onLoad: () => void
  ): Promise<void> {
    const url = this.#values['url']
    const target = url === undefined ? await startTarget(flags) : runningTarget(checkLoopback(String(url)))
    try {
      const model = await modelOf(target.url)
      const scenarios = scenariosOf({ model, maxTokens: this.#maxTokens })
      for (const planned of loads) {
        if (this.#signal.aborted) return
        this.#progress.tell('loads', done.loads++, total)
        const measured =
          await this.#measure(target, name, planned, scenarios.find(one => one.name === planned.scenario)!)
        if (measured) this.measurements.push(measured)
        onLoad()
      }
      const streaming = scenarios.find(one => one.name === 'streaming')!
      if (besideEngine) await this.#besideEngine(target, streaming)
      if (name === defaultConfiguration && this.#values['guidellm'] === true && !this.#signal.aborted) {
        await this.#besideGuidellm(target, model, streaming)
          .catch((error: unknown) => { if (!this.#signal.aborted) throw error })
      }
    } finally {
      await target.stop()
    }
  }

  async run (plan: readonly Configuration[], onLoad: () => void): Promise<void> {
    const total = plan.reduce((sum, { loads }) => sum + loads.length, 0)
    const done = { loads: 0 }
    for (const configuration of plan) {
      if (!this.#signal.aborted) await this.#configuration(configuration, done, total, onLoad)
    }
    this.#progress.end()
  }

  report (environment: LoadReport['environment'], finished: boolean): LoadReport {
    return {
      environment,
      objectives: this.#objectives,
      maxTokens: this.#maxTokens,
      finished,
      measurements: this.measurements,
      engineTurns: this.engineTurns,
      crossCheck: this.crossCheck
    }
  }
}

async function run (values: Values, args: readonly string[]): Promise<void> {
  const environment = environmentOf('npm run loadtest --', args)
  const out = String(values['out'] ?? join(packageRoot, 'loadtest', 'out', environment.date.replaceAll(':', '-')))
  const openShares = integersOption(values, 'open', '50,80').map(percent => percent / 100)
  const plan = planOf({
    scenarios: chosenScenarios(values),
    concurrencies: integersOption(values, 'concurrency', '1,8,32'),
    openShares,
    ablations: values['skip-ablations'] !== true && values['url'] === undefined
  })
  const earlier = earlierOf(values)
  const interrupted = new AbortController()
  process.once('SIGINT', () => { interrupted.abort() })
  const test = new LoadTest(values, interrupted.signal)
  const reported = (finished: boolean): LoadReport => test.report(environment, finished)
  await test.run(plan, () => { writeFigures(out, reported(false)) })
  const report = reported(!interrupted.signal.aborted)
  const comparison = compare(report.measurements, earlier)
  const file = await writeReport(out, report, scenariosOf({ model: '', maxTokens: report.maxTokens })
    .filter(({ name }) => chosenScenarios(values).includes(name)), comparison)
  console.log(tableOf(report.measurements))
  for (const line of comparison.length > 0 ? [comparisonHead, ...comparison] : []) console.log(line.join('\t'))
  for (const [streams, engine, server, ratio, generator, beside] of engineRows(report.engineTurns)) {
    console.log(`${streams!}: engine ${engine!} tokens/s, server ${server!}, ratio ${ratio!}; generator CPU ` +
      `${generator!}; ratio beside the generator ${beside!}`)
  }
  if (report.crossCheck) {
    console.log(`guidellm ÷ this load generator, output tokens/s of ${report.crossCheck.level} streams: ` +
      `${agreement(report.crossCheck).toFixed(2)}`)
  }
  console.log(capacityOf(report) ?? '')
  if (!report.finished) say('interrupted: the report is of what was measured')
  console.log(file)
}

try {
  const args = process.argv.slice(2)
  const { values } = parseOptions({ options, maxPositionals: 0 }, args)
  if (values['help'] === true) {
    console.log('npm run loadtest -- [OPTIONS]\n\nLoad on a server of this machine, by HTTP, streams and WebSockets: ' +
      `a report with plots\n\n${describeOptions(options)}`)
  } else await run(values, args)
} catch (error) {
  say(`loadtest: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = error instanceof RequestError ? 2 : 1
}
