/**
 * Makes positive.json and its card.
 *
 *   node dist/models/rewards/make/train-positive.js --data DIR [--model NAME|PATH] [--threads N]
 */
import { extractFeatures } from '../../../src/fitting/features.js'
import { fitReward } from '../../../src/fitting/fit-reward.js'
import { linearScore } from '../../../src/rewards/kinds/head.js'
import { areaUnderCurve, clusteredMean, correctness } from '../../../src/statistics/metrics.js'
import { positiveFit, sentimentPrompts, sentimentTexts } from './positive-data.js'
import { logProgress, makeArguments, withPolicy, writeReward } from './setup.js'

const maxReviewTokens = 128
const layers = [15, 20, 22, 25]

const args = makeArguments()
const fit = await positiveFit(args.data)
const reviews = await sentimentTexts(args.data, 'sentiment_reviews.test')
await withPolicy(args, async (policy, cacheDirectory) => {
  const descriptor = await fitReward({
    ...fit,
    name: 'positive',
    description: 'Approving tone: praise over criticism. A weight of −1 asks for criticism.',
    policy,
    layers,
    cacheDirectory,
    onProgress: logProgress
  })
  const items = reviews.map(({ messages, answer }) => ({
    promptTokens: policy.promptTokens(messages), answerTokens: policy.answerTokens(answer).slice(0, maxReviewTokens)
  }))
  const states = (await extractFeatures(policy, items, {
    layers: [descriptor.layer],
    pooling: 'mean',
    cacheDirectory,
    onProgress: (done, total) => { logProgress({ phase: 'features', done, total }) }
  })).get(descriptor.layer)!
  const scores = states.map(answer => linearScore(descriptor.weights, descriptor.bias, answer.at(-1)!))
  const labels = reviews.map(review => review.label === 1 ? 1 : -1)
  const right = clusteredMean(correctness(scores, labels), reviews.map(review => review.answer))
  await writeReward(descriptor, {
    command: 'node dist/models/rewards/make/train-positive.js --data DIR',
    preparation: `Sentences as answers to ${sentimentPrompts.length} review prompts in turn ` +
      '(sentiment-prompts.json); the data set’s lower-case, spaced-out text is put into ordinary spelling first ' +
      '(tidy.ts), as the policy writes it.',
    measured: [`Other texts, never seen: the first ${maxReviewTokens} tokens of ${reviews.length} film reviews ` +
      `(sentiment_reviews.test), accuracy ${(100 * right.value).toFixed(1)} % ± ` +
      `${(100 * right.standardError).toFixed(1)} %, AUC ${areaUnderCurve(scores, labels).toFixed(3)}.`],
    limits: [
      'Fitted on single sentences about films in English; other subjects and long texts are further from what ' +
        'it knows.',
      'Irony, and praise of one thing inside criticism of another, mislead it.',
      'The policy’s plain answers to review prompts are mostly positive already: a weight of 1 has little room, a ' +
        'weight of −1 much.',
      'Its scores are comparable between answers to one prompt; between prompts they also carry the subject.'
    ]
  })
})
