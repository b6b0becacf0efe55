/** `fairlead bench`: what the engine does on this machine, sampling included. */
import { cpus, loadavg } from 'node:os'
import Table from 'cli-table3'
import { loadConfig } from '../config.js'
import { SamplingDistribution } from '../decoding/distribution.js'
import { randomStream } from '../decoding/random.js'
import { RequestError } from '../errors.js'
import { createHost, type Host } from '../inference/host.js'
import { say, type Command } from './command.js'
import { engineOptions, integerOption, settingFlags, type Options, type Values } from './options.js'

const options: Options = {
  batch: { type: 'string', help: 'sequences that decode together, by commas', default: '1,8,16,32' },
  context: { type: 'string', help: 'tokens before the first that is measured', default: '128' },
  tokens: { type: 'string', help: 'tokens decoded per sequence and run', default: '32' },
  repeat: { type: 'string', help: 'runs; the median is reported', default: '5' },
  json: { type: 'boolean', help: 'print JSON' },
  ...engineOptions
}

interface Measured { readonly tokensPerSecond: number, readonly least: number, readonly most: number }
interface Row { readonly what: string, readonly batch: number, readonly decode: Measured, readonly forwardOnly: number, readonly hostShare: number }

function summarize (rates: readonly number[]): Measured {
  const sorted = [...rates].sort((a, b) => a - b)
  return { tokensPerSecond: sorted[sorted.length >> 1]!, least: sorted[0]!, most: sorted.at(-1)! }
}

/** Tokens that look like text and fit the vocabulary. */
const someTokens = (count: number, vocabularySize: number, seed = 1): number[] => Array.from({ length: count }, (_, index) => 100 + (index * 7919 + seed * 104729) % (vocabularySize - 100))

/** One run: B forks of one prompt, each drawing its own tokens at temperature 1. @returns tokens/s, whole and forward only */
async function decodeRun ({ engine, model }: Host, batch: number, context: number, tokens: number, seed: number): Promise<{ rate: number, forwardRate: number }> {
  const root = engine.open(someTokens(context, model.tokenizer.vocabularySize, seed))
  await root.output()
  const sequences = Array.from({ length: batch }, (_, index) => ({ sequence: index === batch - 1 ? root : root.fork(), random: randomStream(seed, String(index)) }))
  const step = (): Promise<unknown> => Promise.all(sequences.map(async ({ sequence, random }) => {
    const { distribution } = await sequence.output()
    sequence.append(new SamplingDistribution(distribution, new Map(), { temperature: 1, minP: 0, topK: 0, topP: 1 }).draw(random.next()))
  }))
  // The first steps copy the prompt into every fork and touch its memory.
  await step()
  await step()
  const forwardBefore = engine.counters.forwardMs
  const started = performance.now()
  for (let count = 0; count < tokens; count++) await step()
  const total = performance.now() - started
  const forward = engine.counters.forwardMs - forwardBefore
  for (const { sequence } of sequences) sequence.close()
  return { rate: batch * tokens / total * 1e3, forwardRate: batch * tokens / forward * 1e3 }
}

async function measureDecode (host: Host, batch: number, context: number, tokens: number, repeat: number): Promise<Row> {
  const runs = []
  for (let run = 0; run < repeat; run++) runs.push(await decodeRun(host, batch, context, tokens, run + 1))
  const decode = summarize(runs.map(run => run.rate))
  const forwardOnly = summarize(runs.map(run => run.forwardRate)).tokensPerSecond
  return { what: `decode at context ${context}`, batch, decode, forwardOnly, hostShare: 1 - decode.tokensPerSecond / forwardOnly }
}

/** Prompt tokens/s of a prompt that nothing is cached of. */
async function measurePrefill ({ engine, model }: Host, length: number, repeat: number): Promise<Measured> {
  const rates: number[] = []
  for (let run = 0; run < repeat; run++) {
    const sequence = engine.open(someTokens(length, model.tokenizer.vocabularySize, 1000 + run), { salt: `bench ${run}` })
    const started = performance.now()
    await sequence.output()
    rates.push(length / (performance.now() - started) * 1e3)
    sequence.close()
  }
  return summarize(rates)
}

function batches (values: Values): number[] {
  const given = String(values['batch'] ?? '1,8,16,32').split(',').map(Number)
  if (given.some(one => !Number.isInteger(one) || one < 1)) throw new RequestError('invalid_request', `--batch must be integers of at least 1 by commas; got ${JSON.stringify(values['batch'])}`, { param: 'batch' })
  return given
}

export const bench: Command = {
  name: 'bench',
  usage: '[OPTIONS]',
  summary: 'measures decode and prefill speed',
  options,
  mostPositionals: 0,
  async run (values) {
    const config = loadConfig(settingFlags(values))
    const [context, tokens, repeat] = [integerOption(values, 'context', 128, 2), integerOption(values, 'tokens', 32), integerOption(values, 'repeat', 5)]
    const sizes = batches(values)
    const host = await createHost(config, say)
    try {
      const rows: Row[] = []
      for (const batch of sizes) {
        rows.push(await measureDecode(host, batch, context, tokens, repeat))
        say(`B=${batch} done`)
      }
      const prefill = await measurePrefill(host, Math.max(context, 256), repeat)
      const environment = { cpu: cpus()[0]?.model, cores: cpus().length, threads: config.threads, node: process.version, model: host.model.id, format: config.format, loadAverage: loadavg()[0] }
      if (values['json'] === true) console.log(JSON.stringify({ environment, rows, prefill }, null, 2))
      else print(environment, rows, prefill, Math.max(context, 256))
    } finally {
      await host.close()
    }
  }
}

function print (environment: object, rows: readonly Row[], prefill: Measured, length: number): void {
  const table = new Table({ head: ['', 'B', 'tokens/s', 'least–most', 'forward only', 'host share'], style: { head: [], border: [] } })
  for (const { what, batch, decode, forwardOnly, hostShare } of rows) {
    table.push([what, batch, decode.tokensPerSecond.toFixed(0), `${decode.least.toFixed(0)}–${decode.most.toFixed(0)}`, forwardOnly.toFixed(0), `${(100 * hostShare).toFixed(1)} %`])
  }
  table.push([`prefill of ${length}`, 1, prefill.tokensPerSecond.toFixed(0), `${prefill.least.toFixed(0)}–${prefill.most.toFixed(0)}`, '', ''])
  console.log(table.toString())
  console.log(Object.entries(environment).map(([name, value]) => `${name} ${typeof value === 'number' ? Number(value.toFixed(2)) : String(value)}`).join(' · '))
}
