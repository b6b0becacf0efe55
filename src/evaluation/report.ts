/**
 * An evaluation as a report: Markdown with plots, and all figures as JSON beside it. Knows figures, not how they were
 * found.
 */
import type { Environment } from '../reporting/environment.js'
import { interval, maybe, percent, range, type Estimate } from '../reporting/estimate.js'
import { headOf, markdownTable, partialPrompts, tableOf, writeReport, type Column } from '../reporting/report.js'
import type { Analysis, ConfigurationFigures } from './analysis.js'
import { judgeFacts } from './criteria.js'
import type { Evaluated, Evaluation } from './evaluate.js'
import type { ProxyCurve } from './over-optimisation-analysis.js'
import { flipped, trainingAnswers, trainingPrompts } from './over-optimisation.js'
import { plotsOf } from './report-plots.js'
import { cheapDraws, curves, plainLabel } from './configurations.js'

const clear = ({ low, high }: Estimate): string =>
  low > 0 ? 'clear of zero' : high < 0 ? 'clearly below zero' : 'not clear of zero'

/** The sizes of best-of-n that tables have room for. */
const shownOf = (sizes: readonly number[]): number[] => sizes.filter(n => n === 4 || n === 16 || n === sizes.at(-1))

/** What became of the judge’s gain as n grew, in words. */
export function turningSentence ({ turning: { bestN, after }, bestOfN }: Evaluation['analysis']): string {
  const largest = bestOfN.at(-1)!.n
  if (bestN === largest) {
    return `The judge’s gain is largest at the largest n, ${largest}: no over-optimisation is seen here.`
  }
  const verdict = after.high < -1e-9
    ? `from there to n = ${largest} it falls: over-optimisation`
    : `from there to n = ${largest} the difference is within its interval`
  return `The judge’s gain is largest at n = ${bestN}; ${verdict} (${interval(after)}).`
}

function overOptimisationTable (curves: readonly ProxyCurve[]): string {
  const judgedAt = (n: number): Column<ProxyCurve> =>
    [`judge at n = ${n}`, ({ curve }) => interval(curve.find(one => one.n === n)!.judge)]
  return tableOf(curves, [
    ['proxy', ({ label }) => label],
    ...shownOf(curves[0]!.curve.map(({ n }) => n)).map(judgedAt),
    ['best n', ({ turning }) => String(turning.bestN)],
    ['from there to the largest n', ({ turning }) => interval(turning.after)],
    ['share of the oracle’s gain', ({ shareOfOracle }) => interval(shareOfOracle)]
  ])
}

function overOptimisationSection (proxies: readonly ProxyCurve[]): string {
  if (proxies.length === 0) return ''
  const tables = [...new Set(proxies.map(({ group }) => group))].map((group, index) =>
    `### ${group}\n\n${overOptimisationTable(proxies.filter(one => one.group === group))}\n\n![panel](plots/panel-` +
      `${index + 1}.svg)`)
  return `## Over-optimisation: one head against five

Each proxy is optimised by best-of-n on the same pools. *small fits* are five heads on bootstraps of about ${trainingPrompts * trainingAnswers / 2} pairs of plain answers to other prompts, which the judge labelled and of which ${100 * flipped} % were flipped: there the judge is
what the proxies try to learn. uwo and lcb have penalty 1.

${tables.join('\n\n')}`
}

/** What sets the judge apart from the reward, and how much they agree. */
function judgeSection ({ agreement }: Analysis, { reward, judge, rewardFacts }: Evaluated): string {
  const facts = judgeFacts[judge]
  const apart = facts && rewardFacts
    ? `What steers is not what judges: the two share no training answers and no features.\n\n${markdownTable(['', 'fitted on', 'reads'], [[`reward ${reward}`, rewardFacts.data, rewardFacts.reads], [`judge ${judge}`, facts.data, facts.reads]])}`
    : 'That it was made from other data than the reward, and reads something else, is for whoever names it to see to.'
  return `## The judge

${apart}

Over the plain answers to one prompt their correlation is ${interval(agreement)}: that much, and no more, of what the reward likes the judge likes too.`
}

const timeSection = ({ timedPrompts }: Analysis, isTimed: boolean): string =>
  `## Guidance against best-of-n at equal time\n\n${isTimed
    ? '![guidance against best-of-n](plots/guidance-time.svg)\n\nTimes are of one request alone, in plain answers, ' +
      `over ${timedPrompts} prompts on which all configurations were timed round-robin.`
    : 'Nothing was timed: the same command with `--timed 8` times every configuration, on an idle machine.'}`

function bestOfNSection (analysis: Analysis, { reward, judge, candidates }: Evaluated): string {
  const at16 = analysis.bestOfN.find(({ n }) => n === 16)
  const table = tableOf(analysis.bestOfN, [
    ['n', ({ n }) => String(n)], [`reward ${reward}`, ({ proxy }) => interval(proxy)],
    [`judge ${judge}`, one => interval(one.judge)], ['KL, from the pool', ({ kl }) => kl.toFixed(2)],
    ['KL bound', ({ klBound }) => klBound.toFixed(2)], ['NLL per token', ({ nll }) => nll.toFixed(3)],
    ['distinct-2', ({ distinctPairs }) => distinctPairs.toFixed(3)]
  ])
  return `## Best-of-n

${at16 ? `From n = 1 to n = 16 the judge’s gain is ${interval(at16.judge)}, ${clear(at16.judge)}. ` : ''}${turningSentence(analysis)}

![best-of-n](plots/best-of-n.svg)

${table}

From one pool of ${candidates} answers a prompt, by order statistics: the expected score of the best of n drawn without replacement. KL in nats; its bound is ln n − (n − 1)/n, and close to n = ${candidates} the pool is too coarse to tell it.
Fluency: NLL under the policy, and the share of distinct word pairs in an answer.`
}

function guidanceSection ({ ways: configurations }: Analysis): string {
  const guided = configurations.filter(({ curve, kl }) => curve !== null && kl !== null)
  if (guided.length === 0) return ''
  const table = tableOf(guided, [
    ['values of next tokens, strength', ({ label }) => label], ['KL, nats', ({ kl }) => kl!.toFixed(2)],
    ['judge', ({ judge }) => interval(judge)], ['NLL per token', ({ nll }) => nll.toFixed(3)],
    ['distinct-2', ({ distinctPairs }) => distinctPairs.toFixed(3)],
    ['judge over look-ahead fitted on prefixes, equal KL', ({ overLookAhead }) => maybe(overLookAhead)],
    ['over best-of-n, equal KL', ({ overBestOfN }) => maybe(overBestOfN.kl)]
  ])
  return `## Guidance at equal KL

![KL](plots/guidance-kl.svg)

${table}

*${curves.prefix}* reads each of the 20 most probable next tokens with the built-in reward, *${curves.outcome}* with a version of it that was fitted on the same data at the same layer, whole answers only; *${curves.qHead}* foretells what reading would give, and *${curves.warmedUp}* is the same with a strength that rises over half of an answer’s tokens (\`warmup_tokens\`).
KL is what guidance measures along the path, exactly for what was drawn. The look-ahead’s gain at another’s KL lies on straight lines between its strengths, from no gain at 0 nats.`
}

function frontierSection ({ frontier }: Analysis): string {
  if (!frontier) return ''
  const { nats, n, judge, strength, ways: configurations } = frontier
  const table = tableOf(configurations, [
    ['configuration', ({ label }) => label], ['KL, nats', ({ kl }) => kl!.toFixed(2)],
    ['judge', configuration => interval(configuration.judge)], ['share', ({ share }) => maybe(share, percent)],
    ['time, in plain answers', ({ time }) => maybe(time, range)]
  ])
  return `At ${nats} nats soft best-of-${n} (chances ∝ exp(${strength.toFixed(
    2
  )} · reward) among the ${n} answers of the pool) gains ${interval(
    judge
  )} by the judge. Of that, Q-head guidance of at most ${nats} nats gets:

${table}`
}

const configurationColumns: ReadonlyArray<Column<ConfigurationFigures>> = [
  ['configuration', ({ label }) => label], ['reward', ({ proxy }) => interval(proxy)],
  ['judge', ({ judge }) => interval(judge)],
  ['of best-of-16’s', ({ label, shareOf16 }) => maybe(label === plainLabel ? null : shareOf16, percent)],
  ['tokens', ({ tokens }) => tokens.toFixed(1)], ['time', ({ time }) => maybe(time, range)],
  ['KL, nats', ({ kl, klKind }) => kl === null ? '–' : `${kl.toFixed(2)} (${klKind ?? '?'})`],
  ['NLL per token', ({ nll }) => nll.toFixed(3)], ['distinct-2', ({ distinctPairs }) => distinctPairs.toFixed(3)],
  ['judge over best-of-n: equal tokens', ({ overBestOfN }) => maybe(overBestOfN.tokens)],
  ['equal time', ({ overBestOfN }) => maybe(overBestOfN.time)], ['equal KL', ({ overBestOfN }) => maybe(overBestOfN.kl)]
]

const strategiesSection = (
  { ways: configurations }: Analysis, isTimed: boolean, { candidates, wish }: Evaluated
): string =>
  `## Every strategy

![tokens](plots/tokens.svg)

${isTimed ? '![time](plots/time.svg)\n\n' : ''}${tableOf(configurations, configurationColumns)}

Tokens drawn and time are in plain answers. The last columns are the judge’s gain less that of best-of-n with as many tokens, as much time and the same KL, the n in between interpolated; – where no n up to ${candidates} has so many. *plain* and *best_of_n* are read from the pool. The KL of a
strategy is what its responses report: \`upper_bound\` and \`bound_estimate\` are not the KL itself, so that strategies with them are placed too far right. ${wish === null ? 'No wish in words is known for this reward: there is no prompted baseline.' : `*prompted* is no strategy but a system message: “${wish}”; its KL is the mean log-ratio of its answers.`}`

const controlsSection = ({ controls, bestOfN }: Analysis): string => `## Controls

![controls](plots/controls.svg)

${tableOf(controls, [['chosen by', ({ label }) => label], ...shownOf(bestOfN.map(({ n }) => n)).map((n): Column<Analysis['controls'][number]> =>
  [`judge at n = ${n}`, ({ judge }) => interval(judge.find(one => one.n === n)!.gain)])])}

*length only* takes the longest answer, *logprob* the one the policy holds most probable per token, the oracle the one the judge likes best: no choice can do better by this judge.`

function settingSection ({ prompts }: Analysis, evaluated: Evaluated): string {
  const { reward, rewardVersion, judge, promptSet, candidates, seeds, maxTokens, fingerprint } = evaluated
  return `Model ${fingerprint}; reward ${reward} ${rewardVersion}; judge ${judge}; ${prompts} prompts of ${promptSet}; a pool of ${candidates} plain answers each, ${maxTokens} tokens at most, temperature 1; ${seeds} answer${seeds ===
    1
    ? ''
    : 's'} to each prompt by every search, ${seeds * cheapDraws} by Q-heads and system messages.

Gains are over plain answers to the same prompts, in standard deviations of plain answers, the reward’s and the judge’s each on its own scale; a positive gain is what the weight asks for. In brackets: 95 % intervals over prompts (bootstrap).`
}

/** The report as Markdown. */
export function describeEvaluation (
  { analysis, panel, finished }: Evaluation, evaluated: Evaluated, environment: Environment
): string {
  const title = `What steering by ${evaluated.reward} is worth (weight ${evaluated.weight})`
  const isTimed = analysis.ways.some(({ time }) => time !== null)
  const sections = [
    headOf(title, environment, partialPrompts(finished, analysis.prompts)), settingSection(analysis, evaluated),
    judgeSection(analysis, evaluated), timeSection(analysis, isTimed), bestOfNSection(analysis, evaluated),
    guidanceSection(analysis), frontierSection(analysis), strategiesSection(analysis, isTimed, evaluated),
    controlsSection(analysis), overOptimisationSection(panel), 'All figures: report.json.\n'
  ]
  return sections.filter(section => section !== '').join('\n\n')
}

/** Writes REPORT.md, report.json and plots/ into a folder. @returns the report's path */
export const writeEvaluation = (
  folder: string, evaluation: Evaluation, evaluated: Evaluated, environment: Environment
): Promise<string> => writeReport(folder, describeEvaluation(evaluation, evaluated, environment),
  { environment, ...evaluated, ...evaluation }, plotsOf(evaluation, evaluated))
