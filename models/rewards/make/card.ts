/** A fitted reward's card, in Markdown: what it was made from, how good it is, and what it is not good for. */
import type { Members, RewardMetrics } from '../../../src/rewards/descriptor-parts.js'
import type { EnsembleDescriptor } from '../../../src/rewards/kinds/ensemble.js'
import type { FittedDescriptor } from '../../../src/fitting/fit-task.js'
import type { Head } from '../../../src/rewards/kinds/head.js'

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

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

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
  readonly notes: CardNotes
}

export function cardOf (
  { name, description, rows, metrics, members, notes: { preparation, limits, measured = [] } }: CardParts
): string {
  const paired = metrics.measure === 'pair_accuracy'
  const table = metrics.byPrefix.map(({ fraction, accuracy, standardError, auc }) => `| ${100 * fraction} % | ` +
    `${percent(accuracy)} ± ${percent(standardError)} |${auc === undefined ? '' : ` ${auc.toFixed(3)} |`}`)
  const statistics = Object.entries(members).map(([member, { normalization: { mean, std, pool } }]) =>
    `| ${member} | ${mean.toFixed(3)} | ${std.toFixed(3)} | ${pool} |`)
  return `# ${name}

${description}

| | |
| --- | --- |
${rows}
${preparation}

## Held-out ${paired ? 'pair accuracy' : 'accuracy'}

${metrics.examples} ${paired ? 'pairs' : 'texts'} of ${metrics.split}; standard errors over ${metrics.clusters} ${metrics.clusters === metrics.examples ? 'texts' : 'instructions'}.

| share of the answer read | accuracy |${paired ? '' : ' AUC |'}
| --- | --- |${paired ? '' : ' --- |'}
${table.join('\n')}

| control | accuracy |
| --- | --- |
| length only | ${percent(metrics.controls.lengthOnly)} |
| random head (20) | ${percent(metrics.controls.randomHead)} ± ${percent(metrics.controls.randomHeadStd)} |
| TF-IDF and logistic regression, same training texts | ${percent(metrics.controls.tfidf)} |
${metrics.calibrationError === undefined ? '' : `\nExpected calibration error of σ(score): ${metrics.calibrationError.toFixed(3)}.\n`}${measured.map(line => `\n- ${line}`).join('')}${measured.length > 0 ? '\n' : ''}
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
