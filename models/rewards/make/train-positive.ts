/**
 * Makes positive.json and its card.
 *
 *   node dist/models/rewards/make/train-positive.js --data DIR [--model NAME|PATH] [--threads N]
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../../src/package-root.js'
import type { Labelled } from '../../../src/rewards/examples.js'
import { extractFeatures } from '../../../src/rewards/features.js'
import { fitReward } from '../../../src/rewards/fit-reward.js'
import { linearScore } from '../../../src/rewards/head.js'
import { areaUnderCurve, clusteredMean, rightness } from '../../../src/rewards/metrics.js'
import { logProgress, makeArguments, readRows, withPolicy, writeReward } from './setup.js'
import { tidy } from './tidy.js'

interface Row { readonly text: string, readonly label: 0 | 1 }
const trainSentences = 3000
const maxReviewTokens = 128
const layers = [15, 20, 22, 25]

const prompts = JSON.parse(await readFile(join(packageRoot, 'models/rewards/make/sentiment-prompts.json'), 'utf8')) as string[]

/** Texts as answers to prompts in turn, so that the head does not lean on one prompt. */
function toLabelled (rows: readonly Row[]): Labelled[] {
  return rows.map(({ text, label }, index) => ({ messages: [{ role: 'user', content: prompts[index % prompts.length]! }], answer: tidy(text), label }))
    .sort((a, b) => a.messages[0]!.content < b.messages[0]!.content ? -1 : a.messages[0]!.content > b.messages[0]!.content ? 1 : 0)
}

const args = makeArguments()
const train = (await readRows<Row>(args.data, 'sentiment_sentences.train')).slice(0, trainSentences)
const test = await readRows<Row>(args.data, 'sentiment_sentences.test')
const reviews = toLabelled(await readRows<Row>(args.data, 'sentiment_reviews.test'))
await withPolicy(args, async (policy, cacheDirectory) => {
  const descriptor = await fitReward({
    name: 'positive',
    description: 'Approving tone: praise over criticism. A weight of −1 asks for criticism.',
    policy,
    train: { kind: 'labels', labelled: toLabelled(train) },
    test: { kind: 'labels', labelled: toLabelled(test) },
    data: { name: `${train.length} of the sentences of sentiment_sentences.train, sentence polarity data set v1.0 (Pang and Lee, 2005)`, licence: 'CC BY 4.0' },
    layers,
    pooling: 'mean',
    prefixes: true,
    cacheDirectory,
    onProgress: logProgress
  })
  const items = reviews.map(({ messages, answer }) => ({ promptTokens: policy.promptTokens(messages), answerTokens: policy.answerTokens(answer).slice(0, maxReviewTokens) }))
  const states = (await extractFeatures(policy, items, { layers: [descriptor.layer], pooling: 'mean', cacheDirectory, onProgress: (done, total) => { logProgress({ phase: 'features', done, total }) } })).get(descriptor.layer)!
  const scores = states.map(answer => linearScore(descriptor.weights, descriptor.bias, answer.at(-1)!))
  const labels = reviews.map(review => review.label === 1 ? 1 : -1)
  const right = clusteredMean(rightness(scores, labels), reviews.map(review => review.answer))
  await writeReward(descriptor, {
    command: 'node dist/models/rewards/make/train-positive.js --data DIR',
    preparation: `Sentences as answers to ${prompts.length} review prompts in turn (sentiment-prompts.json); the data set’s lower-case, spaced-out text is put into ordinary spelling first (tidy.ts), as the policy writes it.`,
    measured: [`Other texts, never seen: the first ${maxReviewTokens} tokens of ${reviews.length} film reviews (sentiment_reviews.test), accuracy ${(100 * right.value).toFixed(1)} % ± ${(100 * right.standardError).toFixed(1)} %, AUC ${areaUnderCurve(scores, labels).toFixed(3)}.`],
    limits: [
      'Fitted on single sentences about films in English; other subjects and long texts are further from what it knows.',
      'Irony, and praise of one thing inside criticism of another, mislead it.',
      'The policy’s plain answers to review prompts are mostly positive already: a weight of 1 has little room, a weight of −1 much.',
      'Its scores are comparable between answers to one prompt; between prompts they also carry the subject.'
    ]
  })
})
