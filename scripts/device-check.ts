/**
 * What a device computes and how fast, in a few minutes: its logits and greedy answers against the processor's engine,
 * rows among others against rows alone, and what `fairlead bench` measures there. Prints one table.
 *
 *   node dist/scripts/device-check.js --device webgpu [--format q8] [--bandwidth GB/S] [--prompts N] [--tokens N]
 *
 * @param bandwidth of the device's memory: decoding is then set beside the limit that reading weights and KV once a
 * step sets
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Table from 'cli-table3'
import { runScenarios, type BenchOptions, type Row } from '../src/cli/bench-scenarios.js'
import { engineConfigOf, engineOptions, parseOptions } from '../src/cli/options.js'
import type { LocalModel } from '../src/serving/served-models.js'
import { loadServedModel } from '../src/serving/served-models.js'
import { packageRoot } from '../src/package-root.js'

const say = (message: string): void => { process.stderr.write(`${message}\n`) }

/** Prompts of ordinary chats, as the model reads them. */
function promptsOf ({ model: { tokenizer } }: LocalModel, count: number): number[][] {
  const chats =
    JSON.parse(readFileSync(join(packageRoot, 'models', 'calibration', 'chats.json'), 'utf8')) as string[][]
  return Array.from({ length: count }, (_, index) =>
    tokenizer.encode(chats[index % chats.length]!.join('\n\n').slice(0, 160 + 40 * (index % 5))))
}

/** A greedy answer, and the logits before each of its tokens. */
interface Answer { readonly tokens: number[], readonly logits: Float32Array[] }

/** @param given tokens to read in place of the greedy ones */
async function answer (
  { engine }: LocalModel, prompt: readonly number[], tokens: number, given?: readonly number[]
): Promise<Answer> {
  const sequence = engine.open(prompt, { salt: `check ${prompt.join()} ${given ? 'given' : ''}` })
  const written: Answer = { tokens: [], logits: [] }
  try {
    for (let at = 0; at < tokens; at++) {
      const { distribution } = await sequence.output()
      written.logits.push(distribution.logits.slice())
      written.tokens.push(distribution.topIds[0]!)
      sequence.append(given?.[at] ?? distribution.topIds[0]!)
    }
    return written
  } finally {
    sequence.close()
  }
}

const largestDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0)

const rms = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length)

interface Check { readonly what: string, readonly value: string }

/** Against the processor: greedy answers, and logits after the same tokens. */
async function against (
  device: LocalModel, processor: LocalModel, prompts: readonly number[][], tokens: number
): Promise<Check[]> {
  const expected = await Promise.all(prompts.map(prompt => answer(processor, prompt, tokens)))
  const own = await Promise.all(prompts.map(prompt => answer(device, prompt, tokens)))
  const read = await Promise.all(prompts.map((prompt, at) => answer(device, prompt, tokens, expected[at]!.tokens)))
  const same = own.filter(({ tokens }, at) => tokens.every((token, place) => token === expected[at]!.tokens[place]))
  const pairs =
    read.flatMap(({ logits }, at) => logits.map((row, place) => [row, expected[at]!.logits[place]!] as const))
  const agree = pairs.filter(([row, theirs]) => row.indexOf(Math.max(...row)) === theirs.indexOf(Math.max(...theirs)))
  const error = Math.max(...pairs.map(([row, theirs]) => largestDifference(row, theirs)))
  return [
    { what: `greedy answers of ${tokens} tokens equal to the processor's`, value: `${same.length} of ${own.length}` },
    { what: 'most probable token equal after the same tokens', value: `${agree.length} of ${pairs.length}` },
    {
      what: 'largest difference of a logit, and their rms',
      value: `${error.toFixed(4)}, ${rms(pairs[0]![1]).toFixed(2)}`
    }
  ]
}

/** Whether rows among others, forks and cached prefixes have the bits of fresh rows alone. */
async function alone (device: LocalModel, prompts: readonly number[][], tokens: number): Promise<Check[]> {
  const together = await Promise.all(prompts.map(prompt => answer(device, prompt, tokens)))
  let [rows, equal] = [0, 0]
  const compare = (a: readonly Float32Array[], b: readonly Float32Array[]): void => {
    for (const [at, row] of a.entries()) {
      rows++
      if (row.every((value, place) => Object.is(value, b[at]![place]))) equal++
    }
  }
  for (const [at, prompt] of prompts.slice(0, 4).entries()) {
    compare((await answer(device, prompt, tokens)).logits, together[at]!.logits)
    const root = device.engine.open(prompt, { salt: `fork ${at}` })
    await root.output()
    const fork = root.fork()
    fork.append(together[at]!.tokens[0]!)
    compare([(await fork.output()).distribution.logits], [together[at]!.logits[1]!])
    for (const one of [root, fork]) one.close()
  }
  return [{
    what: 'rows among others, from the cache and of forks with the bits they have alone',
    value: `${equal} of ${rows}`
  }]
}

/** What reading all weights and the KV of each row once a step would allow, tokens/s. */
function limitOf ({ model, engine }: LocalModel, { batch, what }: Row, bandwidth: number): number {
  const context = Number(/context (\d+)/.exec(what)![1])
  const bytes = model.weightBytes + batch * context * engine.stats().kvBytesPerToken
  return batch * bandwidth * 1e9 / bytes
}

function benchRows (served: LocalModel, rows: readonly Row[], bandwidth: number | null): Check[] {
  return rows.map(row => {
    const { scenario, what, batch, value: { median }, unit } = row
    const share = scenario === 'decode' && bandwidth !== null
      ? `, ${(100 * median / limitOf(served, row, bandwidth)).toFixed(0)} % of the bandwidth's limit`
      : ''
    return { what: `${scenario}, ${what}, batch ${batch}`, value: `${median.toFixed(0)} ${unit}${share}` }
  })
}

/** What goes over the bus in a decode step. */
async function traffic (served: LocalModel, prompt: readonly number[], batch: number): Promise<Check[]> {
  const { engine } = served
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
  return [
    {
      what: `host bytes a row of a decode step of ${batch}: to the device, from it`,
      value: `${((now.bytesFromHost - before.bytesFromHost) / batch).toFixed(0)}, ` +
        `${((now.bytesToHost - before.bytesToHost) / batch).toFixed(0)}`
    },
    { what: 'runs and graph nodes of a decode step', value: `${now.runs - before.runs}, ${now.nodes - before.nodes}` }
  ]
}

/** Memory of the GPU in use, where a tool says it. */
function memoryInUse (): string {
  try {
    return execFileSync('nvidia-smi', ['--query-gpu=name,memory.used,memory.total', '--format=csv,noheader'],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'not known: nvidia-smi is not there'
  }
}

const { values } = parseOptions({
  options: {
    bandwidth: { type: 'string', help: 'of the memory of the device, GB/s' },
    prompts: { type: 'string', help: 'prompts that are answered', default: '20' },
    answer: { type: 'string', help: 'tokens of a greedy answer', default: '40' },
    batch: { type: 'string', help: 'batch sizes of decoding', default: '1,8,32,128' },
    ...engineOptions
  },
  maxPositionals: 0
}, process.argv.slice(2))
const config = engineConfigOf(values)
const bandwidth = values['bandwidth'] === undefined ? null : Number(values['bandwidth'])
const [prompts, tokens] = [Number(values['prompts'] ?? 20), Number(values['answer'] ?? 40)]
const benchOptions: BenchOptions = {
  batches: String(values['batch'] ?? '1,8,32,128').split(',').map(Number),
  context: 128,
  common: 0,
  prompts: [512, 2048],
  candidates: 32,
  tokens: 32,
  repeat: 3
}

const checks: Check[] = []
const exact = { ...config, format: 'f32' }
say('the processor and the device, both with 32-bit weights')
const processor = await loadServedModel({ ...exact, device: 'cpu' }, say)
const device = await loadServedModel(exact, say)
const texts = promptsOf(device, prompts)
checks.push(...await against(device, processor, texts, tokens), ...await alone(device, texts, tokens))
await device.close()
await processor.close()

say(`the device with weights in ${config.format}`)
const served = await loadServedModel(config, say)
if (config.format !== 'f32') checks.push(...await alone(served, texts, tokens))
checks.push(...await traffic(served, texts[0]!, 32))
const rows = await runScenarios(served, ['decode', 'prefill', 'fan-out'], benchOptions, name => { say(`${name} done`) })
checks.push(...benchRows(served, rows, bandwidth),
  { what: 'weights on the device', value: `${(served.model.weightBytes / 1e6).toFixed(0)} MB` },
  { what: 'memory in use (nvidia-smi)', value: memoryInUse() })
const { operators, id } = served.model
await served.close()

const table = new Table({ head: ['what', 'value'], style: { head: [], border: [] } })
for (const { what, value } of checks) table.push([what, value])
console.log(`${id}, ${operators.format}, on ${operators.kernels}`)
console.log(table.toString())
