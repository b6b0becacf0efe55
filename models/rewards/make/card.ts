/** A head's card, in Markdown: what it was made from, how good it is, and what it is not good for. */
import type { HeadDescriptor } from '../../../src/rewards/descriptor.js'

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

/** The card of a head that has `fit` and `metrics`. */
export function rewardCard (head: HeadDescriptor, { command, preparation, limits, measured = [] }: CardNotes): string {
  const { fit, metrics } = head
  if (!fit || !metrics) throw new Error(`${head.name} has no figures to print`)
  const paired = metrics.measure === 'pair_accuracy'
  const table = metrics.byPrefix.map(({ fraction, accuracy, standardError, auc }) => `| ${100 * fraction} % | ${percent(accuracy)} ± ${percent(standardError)} |${auc === undefined ? '' : ` ${auc.toFixed(3)} |`}`)
  const members = Object.entries(head.members).map(([member, { normalization: { mean, std, pool } }]) => `| ${member} | ${mean.toFixed(3)} | ${std.toFixed(3)} | ${pool} |`)
  return `# ${head.name}

${head.description}

| | |
| --- | --- |
| reads | layer ${head.layer}, ${head.pooling === 'mean' ? 'running mean over the answer’s tokens' : 'last token'}, of ${head.policy.id} (${head.policy.format}, sha256 ${head.policy.weightsSha256.slice(0, 12)}…) |
| fitted by | ${fit.objective === 'bradley_terry' ? 'Bradley–Terry on pairs' : 'logistic regression on labels'}, λ = ${fit.regularization} by 5-fold cross-validation, ${fit.examples} examples, log-length as a nuisance column that scoring drops |
| data | ${fit.data} |
| licence of the data | ${fit.licence} |
| answers cut | at ${fit.maxAnswerTokens} tokens; ${fit.cutAnswers} were longer |
| made by | \`${command}\` |

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

${metrics.calibrationError === undefined ? '' : `Expected calibration error of σ(score): ${metrics.calibrationError.toFixed(3)}.\n`}${measured.map(line => `\n- ${line}`).join('')}${measured.length > 0 ? '\n' : ''}
## Standardisation

| member | mean | standard deviation | pool |
| --- | --- | --- | --- |
${members.join('\n')}

## Limits

${limits.map(line => `- ${line}`).join('\n')}
`
}
