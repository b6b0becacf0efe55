/**
 * Makes the built-in rewards, their cards, and what evaluations judge and compare them with.
 *
 *   node dist/studies/rewards/train.js WHAT --data DIR [--model NAME|PATH] [--threads N]
 *
 * The Q-heads are added to rewards that are there; `reader_texts` and `positive_reader` come before and after
 * train-reader.py.
 */
import { join } from 'node:path'
import { say } from '../../src/cli/command.js'
import type { Options } from '../../src/cli/options.js'
import { fitReward, type FitRequest } from '../../src/fitting/fit-reward.js'
import type { FittedDescriptor } from '../../src/fitting/fit-task.js'
import { prefixLengths } from '../../src/fitting/features.js'
import { poolDescription, poolPrompts, referenceStatistics, samplePool } from '../../src/fitting/reference-pool.js'
import { packageRoot } from '../../src/package-root.js'
import { percentage } from '../../src/reporting/estimate.js'
import type { HeadDescriptor } from '../../src/rewards/descriptor.js'
import { linearScore } from '../../src/rewards/kinds/head.js'
import type { ReadablePolicy } from '../../src/rewards/readable-policy.js'
import { refuse } from '../../src/validation.js'
import { runProgram, type Arguments } from '../../tools/program.js'
import { sayProgress, statesOf, studyOptions, withPolicy } from '../setup.js'
import { reviewsLine, type CardNotes } from './card.js'
import { helpfulFit, positiveFit, sentimentPrompts, sentimentTexts, type FitData } from './data.js'
import { readHead, writeDescriptor, writeReward } from './descriptors.js'
import { trainJudges } from './judges.js'
import { trainQHead } from './q-head.js'
import { finishReader, writeReaderTexts } from './reader.js'

type Train = (args: Arguments) => Promise<void>

/** Fits a reward on some data. */
async function fit (
  args: Arguments, dataOf: (data: string) => Promise<FitData>,
  choices: Pick<FitRequest, 'name' | 'description' | 'layers'> & Partial<FitRequest>,
  done: (descriptor: FittedDescriptor, policy: ReadablePolicy, cacheDirectory: string) => Promise<void> | void
): Promise<void> {
  const data = await dataOf(args.text('data'))
  await withPolicy(args, async (policy, cacheDirectory) => {
    const request = { ...data, ...choices, policy, cacheDirectory, onProgress: sayProgress }
    await done(await fitReward(request), policy, cacheDirectory)
  })
}

export const commandOf = (what: string): string => `node dist/studies/rewards/train.js ${what}`

/** What the cards of both helpful rewards say. @param limit one more */
export const helpfulNotes = (what: string, limit: string): CardNotes => ({
  command: `${commandOf(what)} --data DIR`,
  preparation: 'Pairs of two models’ answers to one instruction whose judged preference differs by more ' +
    'than 0.4, taken in turn from all 314 training instructions. In half of the pairs of the whole set the chosen ' +
    'answer is the longer one. Training and test share no instruction.',
  limits: [
    'English single-turn instructions only; the judge was a model, and part of what it liked is style (one generator ' +
      'wins most of its pairs).',
    'It does not check facts: a fluent wrong answer can score high.',
    'It knows only the first tokens of an answer that is longer than what it was fitted on, and the running mean ' +
      'blurs what comes late.',
    limit
  ]
})

const helpful: Train = args => fit(args, helpfulFit, {
  name: 'helpful',
  description: 'Answers that a judge of instruction following prefers: to the point, complete, well formed.',
  layers: [10, 12, 15]
}, descriptor => {
  writeReward(descriptor, helpfulNotes('helpful', 'Pressed hard (large fan-out or strength) a reward of this ' +
    'accuracy is over-optimised: watch an independent judge.'))
})

/** Five heads on what helpful is fitted on, at its layer. */
const helpfulEnsemble: Train = args => fit(args, helpfulFit, {
  name: 'helpful_ensemble',
  description: 'What helpful rewards, as five heads see it: doubt counts against an answer, and answers they ' +
    'disagree on are told.',
  layers: [15],
  ensemble: { heads: 5, uncertainty: 'bootstrap', combine: 'lcb', penalty: 1 }
}, descriptor => {
  writeReward(descriptor, helpfulNotes('helpful_ensemble', 'The heads share their data’s blind spots: that they ' +
    'agree does not make them right. Pressed hard it can be over-optimised too: watch an independent judge.'))
})

const maxReviewTokens = 128

export const positiveNotes = (measured: string): CardNotes => ({
  command: `${commandOf('positive')} --data DIR`,
  preparation: `Sentences as answers to ${sentimentPrompts.length} review prompts in turn ` +
    '(sentiment-prompts.json); the data set’s lower-case, spaced-out text is put into ordinary spelling first ' +
    '(tidy.ts), as the policy writes it.',
  measured: [measured],
  limits: [
    'Fitted on single sentences about films in English; other subjects and long texts are further from what it knows.',
    'Irony, and praise of one thing inside criticism of another, mislead it.',
    'The policy’s plain answers to review prompts are mostly positive already: a weight of 1 has little room, a ' +
      'weight of −1 much.',
    'Its scores are comparable between answers to one prompt; between prompts they also carry the subject.'
  ]
})

const positive: Train = args => fit(args, positiveFit, {
  name: 'positive',
  description: 'Approving tone: praise over criticism. A weight of −1 asks for criticism.',
  layers: [15, 20, 22, 25]
}, async (descriptor, policy, cacheDirectory) => {
  const { layer, weights, bias } = descriptor as HeadDescriptor
  const reviews = (await sentimentTexts(args.text('data'), 'sentiment_reviews.test'))
    .map(({ messages, answer, label }) => ({ messages, text: answer, label: label as 0 | 1 }))
  const { states } = await statesOf(policy, reviews, { layer, cacheDirectory, maxTokens: maxReviewTokens })
  const scored =
    reviews.map((review, index) => ({ ...review, score: linearScore(weights, bias, states[index]!.at(-1)!) }))
  writeReward(descriptor, positiveNotes(reviewsLine(scored, maxReviewTokens)))
})

/**
 * A reward's version that is fitted on whole answers only, on the same data and layer, for evaluations that compare the
 * two as values of prefixes. No reward for use: the server does not load it.
 */
const outcomeOnly = (reward: string, dataOf: (data: string) => Promise<FitData>): Train => args => fit(args, dataOf, {
  name: `${reward}_outcome_only`,
  description: `${reward}, fitted on whole answers only.`,
  prefixes: false,
  layers: [readHead(reward).layer]
}, descriptor => {
  writeDescriptor(descriptor, join(packageRoot, 'models/evaluation/outcome-only', `${reward}.json`))
  for (const { fraction, accuracy, standardError } of descriptor.metrics!.byPrefix) {
    say(`${100 * fraction} % of the answer read: ${percentage(accuracy)} ± ${percentage(standardError)}`)
  }
})

/** The rule needs no training, only its statistics on the reference pool. */
const length: Train = args => withPolicy(args, async policy => {
  const lengths = (await samplePool(policy, poolPrompts())).map(item => item.answerTokens.length)
  const pool = poolDescription(policy, lengths.length)
  const prefixes = lengths.flatMap(prefixLengths)
  writeDescriptor({
    name: 'length',
    description: 'Number of tokens of the answer. A weight of −1 prefers short answers.',
    kind: 'rule',
    rule: 'length',
    members: {
      outcome: { normalization: referenceStatistics(lengths, pool) },
      prefix: { normalization: referenceStatistics(prefixes, `25, 50, 75 and 100 % of ${pool}`) }
    }
  })
})

const trainings: Readonly<Record<string, Train>> = {
  helpful,
  helpful_ensemble: helpfulEnsemble,
  helpful_q_head: args => trainQHead(args, 'helpful', commandOf('helpful_q_head')),
  helpful_outcome_only: outcomeOnly('helpful', helpfulFit),
  positive,
  positive_q_head: args => trainQHead(args, 'positive', commandOf('positive_q_head')),
  positive_outcome_only: outcomeOnly('positive', positiveFit),
  length,
  judges: args => trainJudges(args.text('data')),
  reader_texts: writeReaderTexts,
  positive_reader: finishReader
}

const options: Options = {
  ...studyOptions,
  out: { type: 'string', help: 'reader_texts: file to write the training texts to, as tokens' },
  texts: { type: 'string', help: 'positive_reader: file of train-reader.py, which of the training texts it used' }
}

if (import.meta.filename === process.argv[1]) {
  await runProgram({
    command: 'node dist/studies/rewards/train.js',
    usage: 'WHAT --data DIR [OPTIONS]',
    summary: `Makes one of ${Object.keys(trainings).join(', ')}`,
    options,
    maxPositionals: 1,
    async run (args) {
      const [what = ''] = args.positionals
      if (!Object.hasOwn(trainings, what)) {
        throw refuse('WHAT', `must be one of ${Object.keys(trainings).join(', ')}`, what)
      }
      await trainings[what]!(args)
    }
  })
}
