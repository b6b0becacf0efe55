/** What studies share: models and engines of their own, rows of the data sets, states of answers, figures. */
import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { say } from '../src/cli/command.js'
import type { Options } from '../src/cli/options.js'
import { loadConfig } from '../src/config.js'
import type { ModelRuntime } from '../src/engine/model-runtime.js'
import { extractFeatures, type PrefixStates } from '../src/fitting/features.js'
import type { FitProgress } from '../src/fitting/fit-task.js'
import type { ModelOptions } from '../src/models/model.js'
import type { WeightFormat } from '../src/models/quantization/weight-format.js'
import { writeJson } from '../src/reporting/report.js'
import { readablePolicy, type ReadablePolicy } from '../src/rewards/readable-policy.js'
import type { ChatMessage } from '../src/rewards/scorer.js'
import { loadRuntime, type RuntimeOptions } from '../src/serving/load-runtime.js'
import { meanAndStd } from '../src/statistics/metrics.js'
import type { Arguments } from '../tools/program.js'

/** The data sets and the policy, options of most studies. */
export const studyOptions: Options = {
  data: { type: 'string', help: 'folder of the data sets' },
  model: { type: 'string', help: 'name of a model, or path of a GGUF file', default: 'smollm2-135m' },
  threads: { type: 'string', help: 'threads', default: '2' }
}

/** Rows of a gzip-compressed JSONL file of the data folder. */
export async function readRows<T> (data: string, name: string): Promise<T[]> {
  if (data === '') throw new Error('--data DIR must name the folder that holds the data sets')
  const text = gunzipSync(await readFile(join(data, `${name}.jsonl.gz`))).toString()
  return text.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as T)
}

/** Loads a model, calls `use` with its runtime, and frees everything. Nothing is cached unless asked for. */
export async function withRuntime<T> (
  model: Omit<ModelOptions, 'contextLength'> & { contextLength?: number }, options: Partial<RuntimeOptions>,
  use: (runtime: ModelRuntime) => Promise<T>
): Promise<T> {
  const runtime = await loadRuntime({ contextLength: 1024, ...model }, {
    maxSequences: 64, kvCacheBytes: 2 ** 31, prefixCacheBytes: 0, prefillTokensPerStep: 256, maxQueued: 0, ...options
  })
  try {
    return await use(runtime)
  } finally {
    await runtime.engine.close()
    runtime.model.dispose()
  }
}

/** Loads the policy, calls `use`, and gives everything back. Features are cached in `cacheDirectory`. */
export async function withPolicy (
  args: Arguments, use: (policy: ReadablePolicy, cacheDirectory: string) => Promise<void>
): Promise<void> {
  const { model, format, threads, cacheDir } = loadConfig({ model: args.text('model'), threads: args.text('threads') })
  await withRuntime({ model, format: format as WeightFormat, threads, cacheDir, onProgress: say },
    { prefixCacheBytes: 2 ** 28 }, runtime => use(readablePolicy(runtime), join(cacheDir, 'features')))
}

/** Prints progress about every hundredth answer. */
export function sayProgress ({ phase, done, total }: FitProgress): void {
  if (done === 0 || done === total || done % 100 === 0) say(`${phase} ${done}/${total}`)
}

/** The states of a layer that a head reads of answers, cut to so many tokens; lengths are of whole answers. */
export async function statesOf (
  policy: ReadablePolicy, answers: ReadonlyArray<{ readonly messages: readonly ChatMessage[], readonly text: string }>,
  { layer, cacheDirectory, maxTokens }: {
    readonly layer: number, readonly cacheDirectory: string, readonly maxTokens?: number | undefined
  }
): Promise<{ states: readonly PrefixStates[], lengths: number[] }> {
  const tokens = await policy.tokens(answers)
  const items = tokens.map(({ promptTokens, answerTokens }) =>
    ({ promptTokens, answerTokens: answerTokens.slice(0, maxTokens) }))
  const features = await extractFeatures(policy, items, {
    layers: [layer],
    pooling: 'mean',
    cacheDirectory,
    onProgress: (done, total) => { sayProgress({ phase: 'features', done, total }) }
  })
  return { states: features.get(layer)!, lengths: tokens.map(({ answerTokens }) => answerTokens.length) }
}

/** Three decimals, without a sign before 0. */
export const rounded = (value: number): string => (Number(value.toFixed(3)) + 0).toFixed(3)

/** The mean of independent values. */
export interface Figure { readonly mean: number, readonly standardError: number }

export function figureOf (values: readonly number[]): Figure {
  const { mean, std } = meanAndStd(values)
  return { mean, standardError: std / Math.sqrt(values.length - 1) }
}

/** `0.505 ± 0.060` */
export const showFigure = ({ mean, standardError }: Figure): string => `${rounded(mean)} ± ${rounded(standardError)}`

/** `count` of some things, drawn without replacement. */
export function drawn<T> (all: readonly T[], count: number, random: () => number): T[] {
  const left = [...all]
  return Array.from({ length: Math.min(count, all.length) }, () =>
    left.splice(Math.floor(random() * left.length), 1)[0]!)
}

/** Writes a page as NAME.md, and its figures beside it as NAME.json. */
export function writePage (folder: string, name: string, markdown: string, figures: object): void {
  writeJson(join(folder, `${name}.json`), figures)
  writeFileSync(join(folder, `${name}.md`), markdown)
}
