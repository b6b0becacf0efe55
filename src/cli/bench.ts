/** `fairlead bench`: measures the engine on this machine, sampling included. */
import { cpus, loadavg } from 'node:os'
import Table from 'cli-table3'
import { RequestError } from '../errors.js'
import { loadServedModel, type LocalModel } from '../serving/served-models.js'
import { runScenarios, scenarioNames, type BenchOptions, type Row } from './bench-scenarios.js'
import { profileOperators, type OperatorTime } from './bench-operators.js'
import { say, type Command } from './command.js'
import {
  engineConfigOf, engineOptions, integerOption, integersOption, namesOption, type Options, type Values
} from './options.js'

const options: Options = {
  scenario: { type: 'string', help: `comma-separated scenarios to run: ${scenarioNames.join(', ')}`, default: 'all' },
  batch: {
    type: 'string', help: 'comma-separated batch sizes (decode) or requests in flight (requests)', default: '1,8,16,32'
  },
  context: {
    type: 'string',
    help: 'context length before measuring starts (decode, mixed, drafts), or prompt length (requests), in tokens',
    default: '128'
  },
  common: { type: 'string', help: 'requests: length of the common, cached prefix in tokens', default: '0' },
  prompts: {
    type: 'string',
    help: 'comma-separated prompt lengths in tokens (prefill, fan-out; prefix-hit uses the longest)',
    default: '128,512,1024'
  },
  candidates: {
    type: 'string', help: 'candidates per prompt (fan-out, journal); mixed uses half of them', default: '32'
  },
  tokens: { type: 'string', help: 'tokens decoded per sequence and repetition', default: '32' },
  repeat: { type: 'string', help: 'repetitions; the median is reported', default: '5' },
  operators: { type: 'boolean', help: 'also profile the operators of forward passes (slower)' },
  json: { type: 'boolean', help: 'print JSON' },
  ...engineOptions
}

/** @throws RequestError naming the option that cannot be followed */
function benchOptionsOf (values: Values): BenchOptions {
  const context = integerOption(values, 'context', 128, 2)
  const common = integerOption(values, 'common', 0, 0)
  if (common > context - 2) {
    throw new RequestError('invalid_request',
      `--common must be at most --context minus 2 (${context - 2}); got ${common}`, { param: 'common' })
  }
  return {
    batches: integersOption(values, 'batch', '1,8,16,32'),
    context,
    common,
    prompts: integersOption(values, 'prompts', '128,512,1024', 2),
    candidates: integerOption(values, 'candidates', 32),
    tokens: integerOption(values, 'tokens', 32),
    repeat: integerOption(values, 'repeat', 5)
  }
}

function environmentOf ({ model: { id, operators } }: LocalModel): object {
  const { format, threads, operators: names, instructionSet } = operators
  return {
    cpu: cpus()[0]?.model,
    instructionSet,
    cores: cpus().length,
    threads,
    node: process.version,
    model: id,
    format: `${format}: ${names.join(', ')}`,
    loadAverage: loadavg()[0]!.toFixed(2)
  }
}

export const bench: Command = {
  usage: '[OPTIONS]',
  options,
  maxPositionals: 0,
  async run (values) {
    const config = engineConfigOf(values)
    const [names, benchOptions] = [namesOption(values, 'scenario', scenarioNames), benchOptionsOf(values)]
    const served = await loadServedModel(config, say)
    const environment = environmentOf(served)
    let rows: Row[]
    try {
      rows = await runScenarios(served, names, benchOptions, name => { say(`${name} done`) })
    } finally {
      await served.close()
    }
    const memory = process.resourceUsage().maxRSS * 1024
    const profiled = values['operators'] === true ? await profileOperators(config, names, benchOptions) : []
    if (values['json'] === true) {
      const operators = profiled.length > 0 ? { operators: profiled } : {}
      console.log(JSON.stringify({ environment, rows, peakResidentBytes: memory, ...operators }, null, 2))
    } else print(environment, rows, memory, profiled)
  }
}

/** A figure in its unit. */
function format (value: number, unit: Row['unit']): string {
  if (unit === 'times') return value.toFixed(value < 0.1 ? 4 : 2)
  if (unit === 'bytes') return `${(value / 1e6).toFixed(2)} MB`
  return value.toFixed(unit === 'ms' ? 1 : 0)
}

function print (environment: object, rows: readonly Row[], memory: number, operators: readonly OperatorTime[]): void {
  const style = { head: [], border: [] }
  const table = new Table({ head: ['scenario', 'what', 'B', 'unit', 'median', 'min–max', 'host share'], style })
  for (const { scenario, what, batch, unit, value, hostShare } of rows) {
    table.push([scenario, what, batch, unit === 'bytes' ? '' : unit, format(value.median, unit),
      value.least === value.most ? '' : `${format(value.least, unit)}–${format(value.most, unit)}`,
      hostShare === undefined ? '' : `${(100 * hostShare).toFixed(1)} %`])
  }
  console.log(table.toString())
  if (operators.length > 0) {
    const operatorTable = new Table({ head: ['graph', 'operator', 'calls a run', 'ms a run', 'share'], style })
    for (const { graph, operator, callsPerRun, msPerRun, share } of operators) {
      operatorTable.push([graph, operator, callsPerRun.toFixed(1), msPerRun.toFixed(3),
        `${(100 * share).toFixed(1)} %`])
    }
    console.log(operatorTable.toString())
  }
  const figures = { ...environment, 'peak memory': `${(memory / 1e6).toFixed(0)} MB` }
  console.log(Object.entries(figures).map(([name, value]) => `${name} ${String(value)}`).join(' · '))
}
