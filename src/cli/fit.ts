/** `fairlead fit`: a reward from a person's own examples. */
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import Table from 'cli-table3'
import { loadConfig } from '../config.js'
import { createHost } from '../inference/host.js'
import type { HeadDescriptor } from '../rewards/descriptor.js'
import { parseExamples, type Examples } from '../rewards/examples.js'
import { fitReward, type FitProgress } from '../rewards/fit-reward.js'
import { readablePolicy } from '../rewards/policy.js'
import { refuse } from '../validation.js'
import { readText, say, type Command } from './command.js'
import { engineOptions, integerOption, requiredOption, settingFlags, type Options, type Values } from './options.js'

const options: Options = {
  name: { type: 'string', help: 'name of the reward' },
  description: { type: 'string', help: 'what it rewards, in a sentence' },
  train: { type: 'string', help: 'JSON lines: {"prompt", "chosen", "rejected"} (Bradley–Terry) or {"prompt", "answer", "label": 0 | 1} (logistic)' },
  test: { type: 'string', help: 'held-out examples of the same kind', default: 'a fifth of the prompts' },
  licence: { type: 'string', help: 'licence of the data, for the card', default: 'unknown' },
  layers: { type: 'string', help: 'layers to try, by commas; the best by cross-validation is taken', default: 'a third, half, two thirds of the model’s' },
  pooling: { type: 'string', help: 'mean (over the answer’s tokens) or last', default: 'mean' },
  'outcome-only': { type: 'boolean', help: 'fit on whole answers only, not on prefixes too' },
  'max-answer-tokens': { type: 'string', help: 'longer answers are cut', default: '256' },
  out: { type: 'string', help: 'folder for the descriptor; give it to serve as --rewards-dir' },
  ...engineOptions
}

async function readExamples (file: string): Promise<Examples> {
  return parseExamples(await readText(file), basename(file))
}

function layersOf (values: Values, count: number): number[] {
  const given = values['layers']
  if (given === undefined) return [Math.round(count / 3), Math.round(count / 2), Math.round(2 * count / 3)]
  return String(given).split(',').map(Number)
}

function poolingOf (values: Values): 'mean' | 'last' {
  const pooling = values['pooling'] ?? 'mean'
  if (pooling !== 'mean' && pooling !== 'last') throw refuse('--pooling', 'must be one of mean, last', pooling)
  return pooling
}

/** Says how far a fit is, ten times a phase. */
function progressReporter (): (progress: FitProgress) => void {
  let last = ''
  return ({ phase, done, total }) => {
    const line = `${phase} ${Math.floor(done / total * 10) * 10} %`
    if (line !== last) say(line)
    last = line
  }
}

function describe ({ metrics, layer, pooling, fit: how }: HeadDescriptor): string {
  if (!metrics || !how) return ''
  const table = new Table({ head: ['', 'held out'], style: { head: [], border: [] } })
  table.push(['fit', `${how.objective} on ${how.examples} examples, layer ${layer}, ${pooling}`])
  for (const { fraction, accuracy, standardError } of metrics.byPrefix) table.push([`${metrics.measure} at ${fraction * 100} % of the answer`, `${accuracy.toFixed(3)} ± ${standardError.toFixed(3)}`])
  table.push(['control: length only', metrics.controls.lengthOnly.toFixed(3)], ['control: random head', metrics.controls.randomHead.toFixed(3)], ['control: TF-IDF', metrics.controls.tfidf.toFixed(3)])
  return table.toString()
}

export const fit: Command = {
  name: 'fit',
  usage: '--name NAME --train FILE --out DIR',
  summary: 'fits a linear reward on the model’s hidden states and prints how far to trust it',
  options,
  mostPositionals: 0,
  async run (values) {
    const [name, file, out] = [requiredOption(values, 'name'), requiredOption(values, 'train'), requiredOption(values, 'out')]
    const config = loadConfig(settingFlags(values))
    const pooling = poolingOf(values)
    const train = await readExamples(file)
    const test = typeof values['test'] === 'string' ? await readExamples(values['test']) : undefined
    const host = await createHost(config, say)
    try {
      const descriptor = await fitReward({
        name,
        description: typeof values['description'] === 'string' ? values['description'] : `fitted on ${basename(file)}`,
        policy: readablePolicy(host.model, host.engine),
        train,
        ...(test ? { test } : {}),
        data: { name: basename(file), licence: typeof values['licence'] === 'string' ? values['licence'] : 'unknown' },
        layers: layersOf(values, host.model.config.layers),
        pooling,
        prefixes: values['outcome-only'] !== true,
        maxAnswerTokens: integerOption(values, 'max-answer-tokens', 256),
        cacheDirectory: join(config.cacheDir, 'features'),
        onProgress: progressReporter()
      })
      await mkdir(out, { recursive: true })
      const path = join(out, `${name}.json`)
      await writeFile(path, `${JSON.stringify(descriptor)}\n`)
      say(describe(descriptor))
      console.log(path)
    } finally {
      await host.close()
    }
  }
}
