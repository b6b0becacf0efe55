/** What the scripts that make the rewards in the box share: arguments, data, the policy, and writing the result. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { loadConfig } from '../../../src/config.js'
import type { WeightFormat } from '../../../src/models/quantization/weight-format.js'
import { packageRoot } from '../../../src/package-root.js'
import { parseRewardFamily, type RewardDescriptor } from '../../../src/rewards/descriptor.js'
import type { FitProgress } from '../../../src/fitting/fit-choices.js'
import type { FittedDescriptor } from '../../../src/fitting/fit-task.js'
import { readablePolicy, type ReadablePolicy } from '../../../src/rewards/readable-policy.js'
import { loadRuntime } from '../../../src/serving/model-runtime.js'
import { rewardCard, type CardNotes } from './card.js'

export interface MakeArguments {
  /** Folder with the data sets; '' where none was named. */
  readonly data: string
  /** Name of a model, or path of a GGUF file. */
  readonly model: string
  readonly threads: string
  /** Name of a reward in the box, for scripts that add to one; '' where none was named. */
  readonly reward: string
}

/** `[--data DIR] [--model NAME|PATH] [--threads N] [--reward NAME]`. */
export function makeArguments (): MakeArguments {
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: '' },
      model: { type: 'string', default: 'smollm2-135m' },
      threads: { type: 'string', default: '2' },
      reward: { type: 'string', default: '' }
    }
  })
  return values
}

/** Rows of a gzip-compressed JSONL file of the data folder. */
export async function readRows<T> (data: string, name: string): Promise<T[]> {
  if (data === '') throw new Error('--data DIR must name the folder that holds the data sets')
  const text = gunzipSync(await readFile(join(data, `${name}.jsonl.gz`))).toString()
  return text.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as T)
}

/** Loads the policy, calls `use`, and gives everything back. Features are cached in `cacheDirectory`. */
export async function withPolicy (
  args: MakeArguments, use: (policy: ReadablePolicy, cacheDirectory: string) => Promise<void>
): Promise<void> {
  const config = loadConfig({ model: args.model, threads: args.threads })
  const runtime = await loadRuntime({
    model: config.model,
    format: config.format as WeightFormat,
    threads: config.threads,
    cacheDir: config.cacheDir,
    contextLength: 1024,
    onProgress: log
  }, {
    maxSequences: 64,
    kvCacheBytes: 2 ** 31,
    prefixCacheBytes: 2 ** 28,
    prefillTokensPerStep: 256,
    maxQueued: 0
  })
  try {
    await use(readablePolicy(runtime), join(config.cacheDir, 'features'))
  } finally {
    await runtime.engine.close()
    runtime.model.dispose()
  }
}

export function log (message: string): void {
  console.error(message)
}

/** Prints progress about every hundredth answer. */
export function logProgress ({ phase, done, total }: FitProgress): void {
  if (done === 0 || done === total || done % 100 === 0) log(`${phase} ${done}/${total}`)
}

/** Writes a fitted reward and its card beside it. */
export async function writeReward (descriptor: FittedDescriptor, notes: CardNotes): Promise<void> {
  const file = await writeDescriptor(descriptor)
  await writeFile(file.replace(/json$/, 'md'), rewardCard(descriptor, notes))
}

/**
 * Writes a descriptor, one field a line, after checking that it can be read.
 * @param file default among the rewards in the box
 */
export async function writeDescriptor (
  descriptor: RewardDescriptor, file = join(packageRoot, 'models/rewards', `${descriptor.name}.json`)
): Promise<string> {
  const fields = Object.entries(descriptor).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`)
  const text = `{\n${fields.join(',\n')}\n}\n`
  parseRewardFamily(text, file)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  log(`wrote ${file}`)
  return file
}
