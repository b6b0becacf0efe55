/** `fairlead fit`: fits a reward on the user's examples. */
import { basename, join } from 'node:path'
import { loadServedModel, type LocalModel } from '../serving/served-models.js'
import { writeAtomically } from '../atomic-file.js'
import { parseExamples, type Examples } from '../fitting/examples.js'
import { fitReward } from '../fitting/fit-reward.js'
import type { EnsembleOptions, FitChoices, FitProgress, FittedDescriptor } from '../fitting/fit-task.js'
import { descriptorText } from '../rewards/descriptor.js'
import type { QHead } from '../rewards/kinds/q-head.js'
import { readablePolicy } from '../rewards/readable-policy.js'
import type { Config } from '../settings.js'
import { examplesOf } from '../stores/chats.js'
import { openChats } from '../stores/open-store.js'
import { refuse } from '../validation.js'
import { plainTable, readText, say, type Command } from './command.js'
import {
  choiceOption, engineConfigOf, engineOptions, integerOption, numberOption, requiredOption, textOption, type Options,
  type Values
} from './options.js'

const options: Options = {
  name: { type: 'string', help: 'name of the reward' },
  description: { type: 'string', help: 'short description of what it rewards' },
  train: {
    type: 'string',
    help: 'JSON lines: {"prompt", "chosen", "rejected"} (Bradley–Terry), {"prompt", "answer", "label": 0 | 1} ' +
      '(logistic) or {"prompt", "answer", "score": number} (least squares); also TRL, UltraFeedback, HH-RLHF, ' +
      'HelpSteer and Nectar as published'
  },
  feedback: { type: 'string', help: 'feedback dataset in --data-dir or --store, instead of --train' },
  kind: { type: 'string', help: 'kind of feedback: pairs, labels or scores; required if the dataset has several' },
  test: { type: 'string', help: 'held-out examples of the same kind', default: 'a fifth of the prompts' },
  licence: { type: 'string', help: 'licence of the data, for the card', default: 'unknown' },
  layers: {
    type: 'string',
    help: 'comma-separated layers to try; cross-validation picks the best',
    default: 'at 1/3, 1/2 and 2/3 of the model’s depth'
  },
  pooling: { type: 'string', help: 'mean (over the answer’s tokens) or last', default: 'mean' },
  'outcome-only': { type: 'boolean', help: 'fit on whole answers only, not on prefixes' },
  'max-answer-tokens': { type: 'string', help: 'truncate longer answers to this many tokens', default: '256' },
  directions: {
    type: 'string',
    help: 'number of directions (in which the pairs differ) to keep, so that the reward can be adapted to users with ' +
      'fairlead adapt'
  },
  ensemble: { type: 'string', help: 'number of heads in the ensemble; their disagreement is reported' },
  uncertainty: {
    type: 'string',
    help: 'how the heads of an ensemble are drawn: bootstrap (each fitted on resampled prompts) or laplace (sampled ' +
      'around one fit)',
    default: 'bootstrap'
  },
  combine: {
    type: 'string',
    help: 'how the ensemble combines its heads: mean, min, uwo (mean − penalty · variance) or lcb (mean − penalty · ' +
      'standard deviation)',
    default: 'lcb'
  },
  penalty: { type: 'string', help: 'penalty of uwo and lcb', default: '1' },
  'q-head': {
    type: 'boolean',
    help: 'also fit a next_token member (Q-head) on answers that the model generates for the training prompts; ' +
      'required by token_guidance with method q_head'
  },
  out: {
    type: 'string',
    help: 'output directory (pass it to `serve` as --rewards-dir)',
    default: 'rewards/ in --data-dir, or --store, which `serve` loads'
  },
  ...engineOptions
}

const readExamples = (file: string): Examples => parseExamples(readText(file), basename(file))

const poolingOf = (values: Values): 'mean' | 'last' => choiceOption(values, 'pooling', ['mean', 'last'], 'mean')

/** Prints progress in steps of 10 % per phase. */
function progressReporter (): (progress: FitProgress) => void {
  let last = ''
  return ({ phase, done, total }) => {
    const line = `${phase} ${Math.floor(done / total * 10) * 10} %`
    if (line !== last) say(line)
    last = line
  }
}

const kindOf = (descriptor: FittedDescriptor): string =>
  descriptor.kind === 'head'
    ? `layer ${descriptor.layer}, ${descriptor.pooling}`
    : `${descriptor.scorers.length} heads, ${descriptor.combine}`

/** Options of an ensemble; null for one head. */
function ensembleOf (values: Values): EnsembleOptions | null {
  if (values['ensemble'] === undefined) {
    for (const name of ['uncertainty', 'combine', 'penalty']) {
      if (values[name] !== undefined) throw refuse(`--${name}`, 'requires --ensemble', values[name])
    }
    return null
  }
  const uncertainty = choiceOption(values, 'uncertainty', ['bootstrap', 'laplace'], 'bootstrap')
  const combine = choiceOption(values, 'combine', ['mean', 'min', 'uwo', 'lcb'], 'lcb')
  if (values['penalty'] !== undefined && (combine === 'mean' || combine === 'min')) {
    throw refuse('--penalty', 'is only valid with --combine uwo or lcb', values['penalty'])
  }
  const penalty = numberOption(values, 'penalty', 1, 0, 1000)
  return { heads: integerOption(values, 'ensemble', 2, 2), uncertainty, combine, penalty }
}

/** A Q-head needs a single head with mean pooling that scores prefixes. */
function checkQHead (values: Values, isEnsemble: boolean): void {
  if (values['q-head'] !== true) return
  if (isEnsemble) throw refuse('--q-head', 'requires a single head; it cannot be combined with --ensemble', true)
  if (poolingOf(values) !== 'mean') throw refuse('--q-head', 'requires --pooling mean', values['pooling'])
  if (values['outcome-only'] === true) {
    throw refuse('--q-head', 'requires prefixes; it cannot be combined with --outcome-only', true)
  }
}

function describe (descriptor: FittedDescriptor): string {
  const { metrics, fit: how } = descriptor
  if (!metrics || !how) return ''
  if (how.equalPairs !== undefined) {
    say(`${how.equalPairs} pairs left out: their answers are equal in the first ${how.maxAnswerTokens} tokens`)
  }
  const table = plainTable(['', 'held out'])
  table.push(['fit', `${how.objective} on ${how.examples} examples, ${kindOf(descriptor)}`])
  for (const { fraction, accuracy, standardError } of metrics.byPrefix) {
    table.push([`${metrics.measure} at ${fraction * 100} % of the answer`,
      `${accuracy.toFixed(3)} ± ${standardError.toFixed(3)}`])
  }
  table.push(['control: length only', metrics.controls.lengthOnly.toFixed(3)], ['control: random head',
    metrics.controls.randomHead.toFixed(3)], ['control: TF-IDF', metrics.controls.tfidf.toFixed(3)])
  return table.toString()
}

function describeQHead ({ metrics: { rankCorrelation, standardError } }: QHead): string {
  return `next_token member: rank correlation with reading each token ${rankCorrelation.toFixed(3)} ± ` +
    `${standardError.toFixed(3)}, held out`
}

/** Writes the descriptor into a folder, or where the server keeps its own. @returns the file's path */
async function keep (served: LocalModel, descriptor: FittedDescriptor, out: string | undefined): Promise<string> {
  if (out === undefined) return (await served.store.save(descriptor)).file
  const path = join(out, `${descriptor.name}.json`)
  await writeAtomically(path, descriptorText(descriptor, path), 'rewards')
  return path
}

/** The training data and its name. */
async function trainingData (values: Values, config: Config): Promise<{
  readonly train: Examples, readonly data: string
}> {
  const feedback = textOption(values, 'feedback')
  if (feedback === undefined) {
    if (values['kind'] !== undefined) throw refuse('--kind', 'requires --feedback', values['kind'])
    const file = requiredOption(values, 'train')
    return { train: readExamples(file), data: basename(file) }
  }
  if (values['train'] !== undefined) throw refuse('--feedback', 'and --train are mutually exclusive', feedback)
  const kind = choiceOption(values, 'kind', ['pairs', 'labels', 'scores'], null)
  const chats = openChats(config)
  try {
    return { train: await examplesOf(chats, feedback, kind), data: `feedback: ${feedback}` }
  } finally {
    await chats.close()
  }
}

/** The fit that the command line asks for. */
async function choicesOf (values: Values, name: string, config: Config): Promise<FitChoices> {
  const pooling = poolingOf(values)
  const ensemble = ensembleOf(values)
  checkQHead(values, ensemble !== null)
  const { train, data } = await trainingData(values, config)
  const [test, layers] = [textOption(values, 'test'), textOption(values, 'layers')]
  return {
    name,
    description: textOption(values, 'description') ?? `fitted on ${data}`,
    train,
    ...(test === undefined ? {} : { test: readExamples(test) }),
    data: { name: data, licence: textOption(values, 'licence') ?? 'unknown' },
    ...(layers === undefined ? {} : { layers: layers.split(',').map(Number) }),
    pooling,
    prefixes: values['outcome-only'] !== true,
    maxAnswerTokens: integerOption(values, 'max-answer-tokens', 256),
    ...(values['directions'] === undefined ? {} : { directions: integerOption(values, 'directions', 16) }),
    ...(ensemble ? { ensemble } : {}),
    qHead: values['q-head'] === true
  }
}

export const fit: Command = {
  usage: '--name NAME --train FILE | --feedback DATASET',
  options,
  maxPositionals: 0,
  async run (values) {
    const name = requiredOption(values, 'name')
    const config = engineConfigOf(values)
    const out = textOption(values, 'out')
    const choices = await choicesOf(values, name, config)
    const served = await loadServedModel(config, say)
    try {
      if (out === undefined) served.store.checkFree(name, true)
      const descriptor = await fitReward({
        ...choices,
        policy: readablePolicy(served),
        cacheDirectory: join(config.cacheDir, 'features'),
        onProgress: progressReporter()
      })
      const path = await keep(served, descriptor, out)
      if (descriptor.kind === 'head' && descriptor.nextToken) say(describeQHead(descriptor.nextToken))
      say(describe(descriptor))
      console.log(path)
    } finally {
      await served.close()
    }
  }
}
