/** `fairlead fit`: a reward from a person's own examples. */
import { basename, join } from 'node:path'
import { FeedbackStore } from '../feedback/feedback-store.js'
import { loadServedModel, type ServedModel } from '../serving/served-models.js'
import { writeAtomically } from '../atomic-file.js'
import { parseExamples, type Examples } from '../fitting/examples.js'
import { fitReward } from '../fitting/fit-reward.js'
import type { EnsembleOptions, FitChoices, FitProgress, FittedDescriptor } from '../fitting/fit-task.js'
import type { QHead } from '../rewards/kinds/q-head.js'
import { readablePolicy } from '../rewards/readable-policy.js'
import { refuse } from '../validation.js'
import { plainTable, readText, say, type Command } from './command.js'
import {
  choiceOption, engineConfigOf, engineOptions, integerOption, numberOption, requiredOption, textOption, type Options,
  type Values
} from './options.js'

const options: Options = {
  name: { type: 'string', help: 'name of the reward' },
  description: { type: 'string', help: 'what it rewards, in a sentence' },
  train: {
    type: 'string',
    help: 'JSON lines: {"prompt", "chosen", "rejected"} (Bradley–Terry), {"prompt", "answer", "label": 0 | 1} ' +
      '(logistic) or {"prompt", "answer", "score": number} (least squares)'
  },
  feedback: { type: 'string', help: 'data set of feedback in --data-dir, in place of --train' },
  kind: { type: 'string', help: 'of the feedback: pairs, labels or scores; needed where the data set has several' },
  test: { type: 'string', help: 'held-out examples of the same kind', default: 'a fifth of the prompts' },
  licence: { type: 'string', help: 'licence of the data, for the card', default: 'unknown' },
  layers: {
    type: 'string',
    help: 'layers to try, by commas; the best by cross-validation is taken',
    default: 'a third, half, two thirds of the model’s'
  },
  pooling: { type: 'string', help: 'mean (over the answer’s tokens) or last', default: 'mean' },
  'outcome-only': { type: 'boolean', help: 'fit on whole answers only, not on prefixes too' },
  'max-answer-tokens': { type: 'string', help: 'longer answers are cut', default: '256' },
  directions: {
    type: 'string',
    help: 'keep so many directions that pairs differ along, so that the reward can be adapted to users (fairlead adapt)'
  },
  ensemble: { type: 'string', help: 'fit so many heads, which tell where they disagree' },
  uncertainty: {
    type: 'string',
    help: 'what makes the heads of an ensemble differ: bootstrap (each is fitted on prompts drawn anew) or laplace ' +
      '(they are drawn around one fit)',
    default: 'bootstrap'
  },
  combine: {
    type: 'string',
    help: 'how an ensemble combines: mean, min, uwo (mean − penalty · variance) or lcb (mean − penalty · standard ' +
      'deviation)',
    default: 'lcb'
  },
  penalty: { type: 'string', help: 'of uwo and lcb', default: '1' },
  'q-head': {
    type: 'boolean',
    help: 'fit a next-token member, too, on answers that the model writes to the training prompts: token_guidance ' +
      'with method q_head needs it'
  },
  out: {
    type: 'string',
    help: 'folder for the descriptor, to be given to serve as --rewards-dir',
    default: 'rewards in --data-dir, which serve reads'
  },
  ...engineOptions
}

async function readExamples (file: string): Promise<Examples> {
  return parseExamples(await readText(file), basename(file))
}

const poolingOf = (values: Values): 'mean' | 'last' => choiceOption(values, 'pooling', ['mean', 'last'], 'mean')

/** Prints the progress of a fit, ten times a phase. */
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
      if (values[name] !== undefined) throw refuse(`--${name}`, 'needs --ensemble', values[name])
    }
    return null
  }
  const uncertainty = choiceOption(values, 'uncertainty', ['bootstrap', 'laplace'], 'bootstrap')
  const combine = choiceOption(values, 'combine', ['mean', 'min', 'uwo', 'lcb'], 'lcb')
  if (values['penalty'] !== undefined && (combine === 'mean' || combine === 'min')) {
    throw refuse('--penalty', 'belongs to uwo and lcb', values['penalty'])
  }
  const penalty = numberOption(values, 'penalty', 1, 0, 1000)
  return { heads: integerOption(values, 'ensemble', 2, 2), uncertainty, combine, penalty }
}

/** A Q-head belongs to one head of means that scores prefixes. */
function checkQHead (values: Values, isEnsemble: boolean): void {
  if (values['q-head'] !== true) return
  if (isEnsemble) throw refuse('--q-head', 'needs one head; it cannot be given with --ensemble', true)
  if (poolingOf(values) !== 'mean') throw refuse('--q-head', 'needs --pooling mean', values['pooling'])
  if (values['outcome-only'] === true) {
    throw refuse('--q-head', 'needs prefixes; it cannot be given with --outcome-only', true)
  }
}

function describe (descriptor: FittedDescriptor): string {
  const { metrics, fit: how } = descriptor
  if (!metrics || !how) return ''
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
  return `next tokens: rank correlation with reading them ${rankCorrelation.toFixed(3)} ± ${standardError.toFixed(3)}, ` +
    'held out'
}

/** Writes the descriptor into a folder, or where the server keeps its own. @returns the file's path */
async function keep (host: ServedModel, descriptor: FittedDescriptor, out: string | undefined): Promise<string> {
  if (out === undefined) return (await host.store.save(descriptor)).file
  const path = join(out, `${descriptor.name}.json`)
  await writeAtomically(path, `${JSON.stringify(descriptor)}\n`, 'rewards')
  return path
}

/** What is fitted on, and what it is called. */
async function trainingData (
  values: Values, dataDir: string
): Promise<{ readonly train: Examples, readonly data: string }> {
  const feedback = textOption(values, 'feedback')
  if (feedback === undefined) {
    if (values['kind'] !== undefined) throw refuse('--kind', 'needs --feedback', values['kind'])
    const file = requiredOption(values, 'train')
    return { train: await readExamples(file), data: basename(file) }
  }
  if (values['train'] !== undefined) throw refuse('--feedback', 'and --train exclude each other', feedback)
  const kind = choiceOption(values, 'kind', ['pairs', 'labels', 'scores'], null)
  const store = new FeedbackStore(dataDir, Infinity)
  try {
    return { train: store.examples(feedback, kind), data: `feedback: ${feedback}` }
  } finally {
    store.close()
  }
}

/** The fit that the command line asks for. */
async function choicesOf (values: Values, name: string, dataDir: string): Promise<FitChoices> {
  const pooling = poolingOf(values)
  const ensemble = ensembleOf(values)
  checkQHead(values, ensemble !== null)
  const { train, data } = await trainingData(values, dataDir)
  const [test, layers] = [textOption(values, 'test'), textOption(values, 'layers')]
  return {
    name,
    description: textOption(values, 'description') ?? `fitted on ${data}`,
    train,
    ...(test === undefined ? {} : { test: await readExamples(test) }),
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
  name: 'fit',
  usage: '--name NAME --train FILE | --feedback DATASET',
  summary: 'fits a linear reward on the model’s hidden states and prints how far to trust it',
  options,
  maxPositionals: 0,
  async run (values) {
    const name = requiredOption(values, 'name')
    const config = engineConfigOf(values)
    const out = textOption(values, 'out')
    const choices = await choicesOf(values, name, config.dataDir)
    const host = await loadServedModel(config, say)
    try {
      if (out === undefined) host.store.checkFree(name, true)
      const descriptor = await fitReward({
        ...choices,
        policy: readablePolicy(host),
        cacheDirectory: join(config.cacheDir, 'features'),
        onProgress: progressReporter()
      })
      const path = await keep(host, descriptor, out)
      if (descriptor.kind === 'head' && descriptor.nextToken) say(describeQHead(descriptor.nextToken))
      say(describe(descriptor))
      console.log(path)
    } finally {
      await host.close()
    }
  }
}
