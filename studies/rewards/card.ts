/** A fitted reward's card, in Markdown: what it was made from, how good it is, and what it is not good for. */
import type { FittedDescriptor } from '../../src/fitting/fit-task.js'
import { percentage } from '../../src/reporting/estimate.js'
import type { Members, RewardMetrics } from '../../src/rewards/descriptor-parts.js'
import type { Naming } from '../../src/rewards/descriptor.js'
import type { ClassifierDescriptor } from '../../src/rewards/kinds/classifier.js'
import type { EnsembleDescriptor } from '../../src/rewards/kinds/ensemble.js'
import type { Head } from '../../src/rewards/kinds/head.js'
import { areaUnderCurve, clusteredMean, correctness } from '../../src/statistics/metrics.js'

/** What a descriptor cannot know. */
export interface CardNotes {
  /** How to make it again. */
  readonly command: string
  /** How the training data were prepared. */
  readonly preparation: string
  /** One sentence each. */
  readonly limits: readonly string[]
  /** More measurements, one sentence each. */
  readonly measured?: readonly string[]
}

/** How well a reward tells praise from criticism in long texts that it never saw, in a sentence. */
export function reviewsLine (
  reviews: ReadonlyArray<{ readonly text: string, readonly score: number, readonly label: 0 | 1 }>, tokens: number
): string {
  const [scores, labels] = [reviews.map(({ score }) => score), reviews.map(({ label }) => label === 1 ? 1 : -1)]
  const { value, standardError } = clusteredMean(correctness(scores, labels), reviews.map(({ text }) => text))
  return `Other texts, never seen: the first ${tokens} tokens of ${reviews.length} film reviews ` +
    `(sentiment_reviews.test), accuracy ${percentage(value)} ± ${percentage(standardError)}, AUC ` +
    `${areaUnderCurve(scores, labels).toFixed(3)}.`
}

const objectives = {
  bradley_terry: 'Bradley–Terry on pairs',
  logistic: 'logistic regression on labels',
  regression: 'least squares on scores'
}

const combinations = {
  mean: 'mean',
  min: 'least score',
  uwo: 'mean − penalty · variance',
  lcb: 'mean − penalty · standard deviation',
  weighted: 'weighted sum'
}

/** How an ensemble comes to one score, as rows of the table. */
function ensembleRows ({ scorers, combine, penalty, warnAboveStd, fit }: EnsembleDescriptor): string {
  const heads = fit?.uncertainty === 'laplace'
    ? 'drawn around one fit by Laplace’s approximation'
    : 'each fitted on as many prompts drawn with replacement, layer and λ as for all of them'
  return `| is | ${scorers.length} heads, ${heads} |
| combines | ${combinations[combine]} of their standardised scores${penalty === undefined ? '' : `, penalty ${penalty}`}; with a negative weight doubt counts the other way |
| warns | where their standard deviation is above ${warnAboveStd}, as on one in twenty of the pool’s answers |
`
}

/** What a card says whatever kind of reward it is of. */
interface CardParts {
  readonly name: string
  readonly description: string
  /** Rows of the table at the top, each ending in a line break. */
  readonly rows: string
  readonly metrics: RewardMetrics
  readonly members: Members
  readonly notes: Omit<CardNotes, 'command'>
}

/** Accuracy by share of the answer read, and what simpler readers reach. */
function metricsSection (metrics: RewardMetrics): string {
  const paired = metrics.measure === 'pair_accuracy'
  const table = metrics.byPrefix.map(({ fraction, accuracy, standardError, auc }) => `| ${100 * fraction} % | ` +
    `${percentage(accuracy)} ± ${percentage(standardError)} |${auc === undefined ? '' : ` ${auc.toFixed(3)} |`}`)
  const { lengthOnly, randomHead, randomHeadStd, tfidf } = metrics.controls
  return `## Held-out ${paired ? 'pair accuracy' : 'accuracy'}

${metrics.examples} ${paired ? 'pairs' : 'texts'} of ${metrics.split}; standard errors over ${metrics.clusters} ${metrics.clusters === metrics.examples ? 'texts' : 'instructions'}.

| share of the answer read | accuracy |${paired ? '' : ' AUC |'}
| --- | --- |${paired ? '' : ' --- |'}
${table.join('\n')}

| control | accuracy |
| --- | --- |
| length only | ${percentage(lengthOnly)} |
| random head (20) | ${percentage(randomHead)} ± ${percentage(randomHeadStd)} |
| TF-IDF and logistic regression, same training texts | ${percentage(tfidf)} |
${metrics.calibrationError === undefined ? '' : `\nExpected calibration error of σ(score): ${metrics.calibrationError.toFixed(3)}.\n`}`
}

function cardOf (
  { name, description, rows, metrics, members, notes: { preparation, limits, measured = [] } }: CardParts
): string {
  const statistics = Object.entries(members).map(([member, { normalization: { mean, std, pool } }]) =>
    `| ${member} | ${mean.toFixed(3)} | ${std.toFixed(3)} | ${pool} |`)
  return `# ${name}

${description}

| | |
| --- | --- |
${rows}
${preparation}

${metricsSection(metrics)}${measured.map(line => `\n- ${line}`).join('')}${measured.length > 0 ? '\n' : ''}
## Standardisation

| member | mean | standard deviation | pool |
| --- | --- | --- | --- |
${statistics.join('\n')}

## Limits

${limits.map(line => `- ${line}`).join('\n')}
`
}

/** The card of a fitted reward that has `fit` and `metrics`. */
export function rewardCard (reward: FittedDescriptor, notes: CardNotes): string {
  const { fit, metrics } = reward
  const head = (reward.kind === 'head' ? reward : reward.scorers[0]) as Head
  if (!fit || !metrics) throw new Error(`${reward.name} has no figures to print`)
  const rows = `| reads | layer ${head.layer}, ${head.pooling === 'mean'
    ? 'running mean over the answer’s tokens'
    : 'last token'}, of ${head.policy.id} (${head.policy.format}, sha256 ${head.policy.weightsSha256.slice(0, 12)}…) |
${reward.kind === 'ensemble' ? ensembleRows(reward) : ''}| fitted by | ${objectives[fit.objective]}, λ = ${fit.regularization} by 5-fold cross-validation, ${fit.examples} examples, log-length as a nuisance column that scoring drops |
| data | ${fit.data} |
| licence of the data | ${fit.licence} |
| answers cut | at ${fit.maxAnswerTokens} tokens; ${fit.cutAnswers} were longer |
| made by | \`${notes.command}\` |
`
  return cardOf({
    name: reward.name, description: reward.description, rows, metrics, members: reward.members ?? {}, notes
  })
}

/**
 * The card of a small reward model of our own, a classifier that reads the answer.
 * @param sizeBytes of the adapter's file @param measured more measurements, one sentence each
 */
export function classifierCard (
  { name, description, layers, model, adapter, format, fit, metrics, members }: Naming & ClassifierDescriptor,
  sizeBytes: number, measured: readonly string[]
): string {
  if (!fit || !metrics) throw new Error(`${name} has no figures to print`)
  const rows =
    `| is | the first ${layers} layers of ${model} (${format}) with a score head; low-rank differences of rank 16 to the upper 4, in [${adapter}/](${adapter}), ${(sizeBytes /
      1e6).toFixed(1)} MB |
| reads | the answer as an assistant’s turn, without the conversation before it; in its own KV, each token once |
| trained by | every position foretells the label, later ones with more weight, and the end of the turn as much as all of them together (log loss); ${fit.examples} texts, one epoch, AdamW, products in bfloat16; begun at a logistic regression on the base’s states |
| data | ${fit.data} |
| licence of the data | ${fit.licence} |
| licence of the base | Apache-2.0 (SmolLM2-135M-Instruct, Hugging Face) |
| made by | [train-reader.py](../../studies/rewards/train-reader.py), which says the commands before it and after it |
`
  const preparation = 'Texts in ordinary spelling (tidy.ts), as the policy writes. About one in twenty training ' +
    'texts was kept back to judge the training by. The logits are those of transformers and peft on the same weights ' +
    '(tests/e2e/reader.test.ts).'
  const limits = [
    'Trained on single sentences about films in English; other subjects and long texts are further from what it knows.',
    'It does not see the question: it judges tone, not whether the tone fits.',
    'It costs half a forward pass of the policy for each token, where positive costs none; it is here to show the ' +
      'path of a reward model of one’s own, and as a second opinion on positive.',
    'Irony, and praise of one thing inside criticism of another, mislead it.'
  ]
  return cardOf({ name, description, rows, metrics, members, notes: { preparation, limits, measured } })
}
