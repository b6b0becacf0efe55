/**
 * `npm run loadtest`: starts the compiled server on a free loopback port, or takes `--url` of one on this machine,
 * drives it, and writes a report with plots. Bounded in count and time; Ctrl-C leaves a report of what was measured.
 * The load generator shares the machine with the server.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { say } from '../../src/cli/command.js'
import { namesOption, settingFlags, settingOptions, type Options, type Values } from '../../src/cli/options.js'
import { RequestError } from '../../src/errors.js'
import { packageRoot } from '../../src/package-root.js'
import { writeJson } from '../../src/reporting/report.js'
import { flagName } from '../../src/settings.js'
import { refuse } from '../../src/validation.js'
import { interruption, messageOf, runProgram, type Arguments } from '../../tools/program.js'
import { LoadTest } from './load-test.js'
import type { Measurement, Objectives } from './measurement.js'
import { planOf } from './plan.js'
import { compare, summaryOf, writeLoad, type LoadReport } from './report.js'
import { scenariosOf } from './scenarios.js'

const allScenarios = scenariosOf({ model: '', maxTokens: 1 }).map(({ name }) => name)

/** What the servers, and the engine alone, run the model with. */
const engineSettings = ['device', 'cudaProvider', 'format'] as const

const options: Options = {
  url: {
    type: 'string',
    help: 'server to drive; must be on this machine; nothing is switched off then',
    default: 'one that is started for it'
  },
  scenarios: { type: 'string', help: `comma-separated: ${allScenarios.join(', ')}`, default: 'all' },
  concurrency: { type: 'string', help: 'comma-separated numbers of requests in flight', default: '1,8,32' },
  requests: {
    type: 'string',
    help: 'requests of a load of chats, a quarter of it one by one; fewer of heavier ones; at least two rounds',
    default: '48'
  },
  'max-tokens': { type: 'string', help: 'tokens of an answer', default: '32' },
  'max-seconds': { type: 'string', help: 'time of a load, at most', default: '60' },
  open: {
    type: 'string',
    help: 'open loop: shares of the capacity that the closed loop found, in percent, comma-separated',
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
  ...settingOptions(engineSettings),
  compare: { type: 'string', help: 'report.json of an earlier run: prints ratios' },
  out: { type: 'string', help: 'folder of the report', default: 'bench/out/TIME' }
}

/** The settings of the engine that are given, as flags of `fairlead`. @throws RequestError beside `--url` */
function engineFlags (values: Values, url: string | null): string[] {
  const given = settingFlags(values)
  return engineSettings.filter(name => given[name] !== undefined).flatMap(name => {
    const flag = `--${flagName(name)}`
    if (url !== null) throw refuse(flag, 'must not be given with --url, whose server has its own', given[name])
    return [flag, given[name]!]
  })
}

/** The defaults, with what `--slo` says in their place. */
function objectivesOf (given: string): Objectives {
  const objectives: Record<string, number> = { ttft: 2000, tpot: 100, latency: 30000 }
  for (const part of given.split(',')) {
    const [name, value] = part.split('=')
    if (!Object.hasOwn(objectives, name!) || !(Number(value) > 0)) {
      throw refuse('--slo', 'must be a comma-separated list of ttft=MS, tpot=MS and latency=MS', given)
    }
    objectives[name!] = Number(value)
  }
  return objectives as unknown as Objectives
}

function earlierOf (file: string): readonly Measurement[] {
  if (file === '') return []
  try {
    const { measurements } = JSON.parse(readFileSync(file, 'utf8')) as Partial<LoadReport>
    if (!Array.isArray(measurements)) throw new Error('it holds no measurements')
    return measurements
  } catch (cause) {
    throw new RequestError('invalid_request', `--compare ${file} is no report: ${messageOf(cause)}`, { cause })
  }
}

async function run (args: Arguments): Promise<void> {
  const { environment, values } = args
  const date = environment.date.replaceAll(':', '-')
  const out = values['out'] === undefined ? join(packageRoot, 'bench', 'out', date) : args.text('out')
  const url = values['url'] === undefined ? null : args.text('url')
  const [names, concurrencies] = [namesOption(values, 'scenarios', allScenarios), args.integers('concurrency')]
  const plan = planOf({
    scenarios: names,
    concurrencies,
    openShares: args.integers('open').map(percent => percent / 100),
    ablations: !args.flag('skip-ablations') && url === null
  })
  const [earlier, objectives] = [earlierOf(args.text('compare')), objectivesOf(args.text('slo'))]
  const [requests, maxTokens, maxSeconds] = [args.integer('requests'), args.integer('max-tokens', 2),
    args.integer('max-seconds')]
  const flags = engineFlags(values, url)
  const signal = interruption()
  const [largest, guidellm] = [Math.max(...concurrencies), args.flag('guidellm')]
  const test = new LoadTest({ url, flags, requests, maxTokens, maxSeconds, objectives, largest, guidellm }, signal)
  const reported = (finished: boolean): LoadReport => {
    const { measurements, engineTurns, crossCheck } = test
    return { environment, objectives, maxTokens, finished, measurements, engineTurns, crossCheck }
  }
  // What a run leaves that is killed.
  await test.run(plan, () => { writeJson(join(out, 'report.json'), reported(false)) })
  const report = reported(!signal.aborted)
  const comparison = compare(report.measurements, earlier)
  const scenarios = scenariosOf({ model: '', maxTokens }).filter(({ name }) => names.includes(name))
  const file = await writeLoad(out, report, scenarios, comparison)
  for (const line of summaryOf(report, comparison)) console.log(line)
  if (!report.finished) say('interrupted: the report is of what was measured')
  console.log(file)
}

await runProgram({
  command: 'npm run loadtest --',
  summary: 'Load on a server of this machine, by HTTP, streams and WebSockets: a report with plots',
  options,
  run
})
