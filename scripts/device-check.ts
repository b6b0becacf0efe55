/**
 * What a device computes and how fast, in a few minutes: its logits and greedy answers against the processor's engine,
 * rows among others against rows alone, what a step moves, and what `fairlead bench` measures there. Prints one table;
 * ends with an error where numbers are not what they should be.
 *
 *   npm run device-check -- --device webgpu [--format q8] [--bandwidth GB/S]
 */
import { spawn } from 'node:child_process'
import Table from 'cli-table3'
import { runScenarios, type BenchOptions, type Row } from '../src/cli/bench-scenarios.js'
import { say } from '../src/cli/command.js'
import { engineConfigOf, engineOptions, numberOption, type Options } from '../src/cli/options.js'
import { RequestError } from '../src/errors.js'
import { loadServedModel, type LocalModel } from '../src/serving/served-models.js'
import { runProgram, type Arguments } from '../tools/program.js'
import { agreementOf, promptsOf, sameRows, type Agreement } from './device-agreement.js'

/**
 * Of a logit, in root mean squares of logits: what queries, keys, values and attention in 16-bit floats are the cause
 * of, the weights being the same numbers.
 */
const tolerance = 0.02

const options: Options = {
  bandwidth: { type: 'string', help: 'of the device’s memory, GB/s: decoding is also given as a share of its limit' },
  prompts: { type: 'string', help: 'prompts that the device and the processor answer', default: '20' },
  answer: { type: 'string', help: 'tokens of an answer', default: '40' },
  batch: { type: 'string', help: 'batch sizes of decoding', default: '1,2,4,8,16,32,64,128' },
  lengths: { type: 'string', help: 'lengths of prompts', default: '128,512,2048' },
  candidates: { type: 'string', help: 'candidates of a prompt', default: '32' },
  tokens: { type: 'string', help: 'tokens decoded per sequence and repetition', default: '32' },
  repeat: { type: 'string', help: 'repetitions; the median is reported', default: '3' },
  ...engineOptions
}

/** A line of the table. */
interface Line {
  readonly what: string
  readonly value: string
  /** Whether it is as it should be; absent for what is only told. */
  readonly passes?: boolean
}

/**
 * @param within the most that a logit may differ by, over their root mean square; null where weights were rounded, and
 * all is only told
 */
function agreementLines (
  { answers, equalAnswers, positions, differences, largest, error, rms, smallestMargin }: Agreement,
  within: number | null
): Line[] {
  const passes = (isRight: boolean): Pick<Line, 'passes'> => within === null ? {} : { passes: isRight }
  const margins = differences.map(({ margin }) => margin.toFixed(3)).slice(0, 8).join(', ')
  return [
    {
      what: `greedy answers of ${positions / answers} tokens equal to the processor's`,
      value: `${equalAnswers} of ${answers}`,
      // A token that the processor prefers by less than both errors may change places with the next.
      ...passes(differences.every(({ margin }) => margin <= 2 * within! * rms))
    },
    {
      what: 'most probable token equal after the same tokens',
      value: `${positions - differences.length} of ${positions}` +
        (differences.length > 0 ? `; the processor prefers its own by ${margins}` : '')
    },
    { what: 'smallest margin of the most probable token', value: smallestMargin.toFixed(4) },
    {
      what: 'differences of logits: the largest, their root mean square; that of logits',
      value: `${largest.toFixed(4)}, ${error.toFixed(4)}; ${rms.toFixed(2)}`,
      ...passes(largest <= within! * rms)
    }
  ]
}

async function rowLines (served: LocalModel, prompts: readonly number[][]): Promise<Line[]> {
  const { engine, model } = served
  const { rows, equal } = await sameRows(served, prompts.slice(0, 4), 4)
  engine.checkIntegrity()
  // Where the self-test found more that bits depend on, it is said in its notes.
  const isPromised = !model.operators.notes.some(note => note.startsWith('the bits of a row depend'))
  return [{
    what: 'rows among others, from the cache and of forks with the bits they have alone',
    value: `${equal} of ${rows}`,
    ...isPromised && { passes: equal === rows }
  }]
}

/** What goes over the bus in a decode step. */
async function trafficLines ({ engine }: LocalModel, prompt: readonly number[], batch: number): Promise<Line[]> {
  const root = engine.open(prompt, { salt: 'traffic', listedLogits: true })
  await root.output()
  const rows = [root, ...Array.from({ length: batch - 1 }, () => root.fork())]
  const step = async (): Promise<void> => {
    for (const row of rows) row.append(1)
    await Promise.all(rows.map(row => row.output()))
  }
  await step()
  const before = { ...engine.deviceCounters! }
  await step()
  const now = engine.deviceCounters!
  for (const row of rows) row.close()
  const bytes = (name: 'bytesFromHost' | 'bytesToHost'): string => ((now[name] - before[name]) / batch).toFixed(0)
  return [
    {
      what: `bytes a row of a decode step of ${batch}: to the device, from it`,
      value: `${bytes('bytesFromHost')}, ${bytes('bytesToHost')}`
    },
    {
      what: 'runs, reads by the host and graph nodes of the step',
      value: `${now.runs - before.runs}, ${now.hostReads - before.hostReads}, ${now.nodes - before.nodes}`
    }
  ]
}

/** What reading all weights and the KV of each row once a step would allow, tokens/s. */
function limitOf ({ model, engine }: LocalModel, batch: number, context: number, bandwidth: number): number {
  const bytes = model.weightBytes + batch * context * engine.stats().kvBytesPerToken
  return batch * bandwidth * 1e9 / bytes
}

function benchLines (
  served: LocalModel, rows: readonly Row[], { context }: BenchOptions, bandwidth: number | null
): Line[] {
  return rows.map(({ scenario, what, batch, value: { median }, unit }) => {
    const share = scenario === 'decode' && bandwidth !== null
      ? `, ${(100 * median / limitOf(served, batch, context, bandwidth)).toFixed(0)} % of the bandwidth's limit`
      : ''
    const value = unit === 'bytes' ? `${(median / 1e6).toFixed(2)} MB` : `${median.toFixed(median < 10 ? 1 : 0)} ${unit}`
    return { what: `${scenario}, ${what}, batch ${batch}`, value: value + share }
  })
}

/** The most memory of a GPU that is in use from now on, as NVIDIA's tool tells it twice a second. */
function watchMemory (): () => number | null {
  let peak: number | null = null
  const tool = spawn('nvidia-smi', ['--query-gpu=memory.used', '--format=csv,noheader,nounits', '--loop-ms=500'],
    { stdio: ['ignore', 'pipe', 'ignore'] })
  tool.on('error', () => { /* It is not there. */ })
  tool.stdout.on('data', (chunk: Buffer) => {
    for (const line of String(chunk).split('\n')) {
      const used = Number.parseInt(line, 10)
      if (Number.isFinite(used)) peak = Math.max(peak ?? 0, used)
    }
  })
  return () => {
    tool.kill()
    return peak
  }
}

function memoryLines ({ model, engine }: LocalModel, peak: number | null): Line[] {
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`
  return [
    {
      what: 'weights and KV cache on the device',
      value: `${megabytes(model.weightBytes)}, ${megabytes(engine.maxKvTokens * engine.stats().kvBytesPerToken)}`
    },
    { what: 'most memory in use on a GPU', value: peak === null ? 'not known: nvidia-smi is not there' : `${peak} MiB` },
    { what: 'most memory of this process', value: megabytes(process.resourceUsage().maxRSS * 1024) }
  ]
}

async function run (args: Arguments): Promise<void> {
  const config = engineConfigOf(args.values)
  if (config.device === 'cpu') {
    throw new RequestError('invalid_request', '--device must be webgpu, cuda, cuda:N or auto; got "cpu"',
      { param: 'device' })
  }
  const bandwidth = args.values['bandwidth'] === undefined
    ? null
    : numberOption(args.values, 'bandwidth', 0, 1, 1e5)
  const [prompts, tokens] = [args.integer('prompts'), args.integer('answer', 2)]
  const bench: BenchOptions = {
    batches: args.integers('batch'),
    context: 128,
    common: 0,
    prompts: args.integers('lengths', 2),
    candidates: args.integer('candidates'),
    tokens: args.integer('tokens'),
    repeat: args.integer('repeat')
  }
  const started = performance.now()
  const after = (): string => `after ${((performance.now() - started) / 1e3).toFixed(0)} s`
  const peak = watchMemory()
  const lines: Line[] = []

  say('the processor in 32-bit weights, and the device in the same numbers (exact)')
  const processor = await loadServedModel({ ...config, device: 'cpu', format: 'f32' }, say)
  let served = await loadServedModel({ ...config, format: 'exact' }, say)
  if (served.engine.deviceCounters === null) {
    throw new RequestError('invalid_request', '--device auto found no device: name one', { param: 'device' })
  }
  const texts = promptsOf(served, prompts)
  lines.push(...agreementLines(await agreementOf(served, processor, texts, tokens), tolerance))
  say(`answers compared ${after()}`)
  if (config.format !== 'exact') {
    await served.close()
    served = await loadServedModel(config, say)
    const rounded = agreementLines(await agreementOf(served, processor, texts, tokens), null)
    lines.push(...rounded.map(line => ({ ...line, what: `${served.model.operators.format}: ${line.what}` })))
    say(`answers in ${served.model.operators.format} compared ${after()}`)
  }
  await processor.close()

  lines.push(...await rowLines(served, texts), ...await trafficLines(served, texts[0]!, bench.candidates))
  const rows = await runScenarios(served, ['decode', 'prefill', 'fan-out'], bench, name => { say(`${name} ${after()}`) })
  lines.push(...benchLines(served, rows, bench, bandwidth), ...memoryLines(served, peak()))
  const { operators, id } = served.model
  await served.close()

  const table = new Table({ head: ['what', 'value', 'as it should be'], style: { head: [], border: [] } })
  for (const { what, value, passes } of lines) {
    table.push([what, value, passes === undefined ? '' : passes ? 'yes' : 'NO'])
  }
  console.log(`${id}, ${operators.format} (${operators.operators.join(', ')}), on ${operators.kernels}, ${after()}`)
  console.log(table.toString())
  for (const note of operators.notes) console.log(note)
  if (lines.some(({ passes }) => passes === false)) throw new Error('the device does not compute what it should')
}

await runProgram({
  command: 'npm run device-check --',
  summary: 'What a device computes and how fast: one table',
  options,
  run
})
