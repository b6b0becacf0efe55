/**
 * An evaluation as a report: Markdown with plots, and all figures as JSON beside it. Knows figures, not how they were
 * found.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeEnvironment, type Environment } from '../reporting/environment.js'
import { markdownTable } from '../reporting/markdown.js'
import { writePlot } from '../reporting/plot.js'
import type { Analysis, WayFigures } from './analysis.js'
import { judgeFacts } from './criteria.js'
import type { Evaluated, Evaluation } from './evaluate.js'
import type { PanelCurve } from './panel-analysis.js'
import { flipped, trainingAnswers, trainingPrompts } from './panel.js'
import { plotsOf } from './report-plots.js'
import type { Estimate } from './statistics.js'
import { cheapDraws, curves, plainLabel } from './ways.js'

const signed = (value: number): string =>
  `${value < 0 && value.toFixed(2) !== '-0.00' ? '−' : '+'}${Math.abs(value).toFixed(2)}`

/** `+0.42 [+0.30, +0.55]` */
export const interval = ({ value, low, high }: Estimate): string =>
  Number.isFinite(low) ? `${signed(value)} [${signed(low)}, ${signed(high)}]` : signed(value)

/** `1.42 [1.30, 1.55]` */
export const range = ({ value, low, high }: Estimate): string =>
  `${value.toFixed(2)}${Number.isFinite(low) ? ` [${low.toFixed(2)}, ${high.toFixed(2)}]` : ''}`

/** `92 % [80, 101]`; – for a share of nothing. */
export const percent = ({ value, low, high }: Estimate): string => !Number.isFinite(value)
  ? '–'
  : `${(100 * value).toFixed(0)} ` +
    `%${Number.isFinite(low) ? ` [${(100 * low).toFixed(0)}, ${(100 * high).toFixed(0)}]` : ''}`

const maybe = (estimate: Estimate | null, show = interval): string => estimate === null ? '–' : show(estimate)

const clear = ({ low, high }: Estimate): string =>
  low > 0 ? 'clear of zero' : high < 0 ? 'clearly below zero' : 'not clear of zero'

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

function panelSection (panel: readonly PanelCurve[]): string {
  if (panel.length === 0) return ''
  const groups = [...new Set(panel.map(({ group }) => group))]
  const tables = groups.map((group, index) => {
    const curves = panel.filter(one => one.group === group)
    const sizes = curves[0]!.curve.map(({ n }) => n)
    const shown = sizes.filter(n => n === 4 || n === 16 || n === sizes.at(-1))
    const rows = curves.map(({ label, curve, turning, shareOfOracle }) => [
      label,
      ...shown.map(n => interval(curve.find(one => one.n === n)!.judge)),
      String(turning.bestN), interval(turning.after), interval(shareOfOracle)
    ])
    return `### ${group}\n\n${markdownTable(['proxy', ...shown.map(n => `judge at n = ${n}`), 'best n', 'from there to the largest n', 'share of the oracle’s gain'], rows)}\n\n![panel](plots/panel-${index + 1}.svg)`
  })
  return `## Over-optimisation: one head against five

Each proxy is pressed by best-of-n on the same pools. *small fits* are five heads on bootstraps of about ${trainingPrompts * trainingAnswers / 2} pairs of plain answers to other prompts, which the judge labelled and of which ${100 * flipped} % were turned round: there the judge is
what the proxies try to learn. uwo and lcb have penalty 1.

${tables.join('\n\n')}

`
}

/** What sets the judge apart from the reward, and how much they agree. */
function judgeSection ({ agreement }: Analysis, { reward, judge, rewardFacts }: Evaluated): string {
  const facts = judgeFacts[judge]
  const table = facts && rewardFacts
    ? `\n\n${markdownTable(['', 'fitted on', 'reads'], [[`reward ${reward}`, rewardFacts.data, rewardFacts.reads], [`judge ${judge}`, facts.data, facts.reads]])}`
    : ''
  const apart = table === ''
    ? 'That it was made from other data than the reward, and reads something else, is for whoever names it to see to.'
    : `What steers is not what judges: the two share no training answers and no features.${table}`
  return `## The judge

${apart}

Over the plain answers to one prompt their correlation is ${interval(agreement)}: that much, and no more, of what the reward likes the judge likes too.`
}

function guidanceSection ({ ways }: Analysis): string {
  const rows = ways.flatMap(({ label, curve, kl, judge, nll, distinctPairs, overLookAhead, overBestOfN }) =>
    curve === null || kl === null
      ? []
      : [[label, kl.toFixed(2), interval(judge), nll.toFixed(3), distinctPairs.toFixed(3), maybe(overLookAhead),
          maybe(overBestOfN.kl)]])
  if (rows.length === 0) return ''
  return `## Guidance at equal KL

![KL](plots/guidance-kl.svg)

${markdownTable(['values of next tokens, strength', 'KL, nats', 'judge', 'NLL per token', 'distinct-2', 'judge over look-ahead fitted on prefixes, equal KL', 'over best-of-n, equal KL'], rows)}

*${curves.prefix}* reads each of the 20 most probable next tokens with the reward in the box, *${curves.outcome}* with a version of it that was fitted on the same data at the same layer, whole answers only; *${curves.qHead}* foretells what reading would give.
KL is what guidance measures along the path, exactly for what was drawn. The look-ahead’s gain at another’s KL lies on straight lines between its strengths, from no gain at 0 nats.

`
}

function frontierSection ({ frontier }: Analysis): string {
  if (!frontier) return ''
  const { nats, n, judge, strength, ways } = frontier
  return `At ${nats} nats soft best-of-${n} (chances ∝ exp(${strength.toFixed(
    2
  )} · reward) among the ${n} answers of the pool) gains ${interval(
    judge
  )} by the judge. Of that, Q-head guidance of at most ${nats} nats gets:

${markdownTable(['way', 'KL, nats', 'judge', 'share', 'time, in plain answers'], ways.map(way => [way.label, way.kl!.toFixed(2), interval(way.judge), maybe(way.share, percent), maybe(way.time, range)]))}

`
}

const klOf = ({ kl, klKind }: WayFigures): string => kl === null ? '–' : `${kl.toFixed(2)} (${klKind ?? '?'})`

/** The report as Markdown. */
export function describeEvaluation (evaluation: Evaluation, evaluated: Evaluated, environment: Environment): string {
  const { analysis, panel, finished } = evaluation
  const { bestOfN, ways, controls, timedPrompts } = analysis
  const { reward, weight, judge, promptSet, candidates, seeds, maxTokens, wish, fingerprint, rewardVersion } = evaluated
  const at16 = bestOfN.find(({ n }) => n === 16)
  const byN = bestOfN.map(({ n, proxy, judge: judged, kl, klBound, nll, distinctPairs }) => [String(n), interval(proxy),
    interval(judged), kl.toFixed(2), klBound.toFixed(2), nll.toFixed(3), distinctPairs.toFixed(3)])
  const wayRows = ways.map(way => [
    way.label, interval(way.proxy), interval(way.judge),
    maybe(way.label === plainLabel ? null : way.shareOf16, percent), way.tokens.toFixed(1), maybe(way.time, range),
    klOf(way), way.nll.toFixed(3), way.distinctPairs.toFixed(3),
    maybe(way.overBestOfN.tokens), maybe(way.overBestOfN.time), maybe(way.overBestOfN.kl)
  ])
  const shownSizes = bestOfN.map(({ n }) => n).filter(n => [4, 16].includes(n) || n === bestOfN.at(-1)!.n)
  const controlRows = controls.map(({ label, judge: gains }) =>
    [label, ...shownSizes.map(n => interval(gains.find(one => one.n === n)!.gain))])
  const isTimed = ways.some(({ time }) => time !== null)
  const timesSection = isTimed
    ? '![guidance against best-of-n](plots/guidance-time.svg)\n\nTimes are of one request alone, in plain answers, ' +
      `over ${timedPrompts} prompts on which all ways took turns.`
    : 'Nothing was timed: the same command with `--timed 8` times every way, on an idle machine.'
  return `# What steering by ${reward} is worth (weight ${weight})

${finished ? '' : `**Partial**: interrupted; ${analysis.prompts} prompts are in it. The same command goes on from there.\n\n`}${describeEnvironment(environment)}

Model ${fingerprint}; reward ${reward} ${rewardVersion}; judge ${judge}; ${analysis.prompts} prompts of ${promptSet}; a pool of ${candidates} plain answers each, ${maxTokens} tokens at most, temperature 1; ${seeds} answer${seeds === 1 ? '' : 's'} to each prompt by every search, ${seeds * cheapDraws} by Q-heads and system messages.

Gains are over plain answers to the same prompts, in standard deviations of plain answers, the reward’s and the judge’s each on its own scale; a positive gain is what the weight asks for. In brackets: 95 % intervals over prompts (bootstrap).

${judgeSection(analysis, evaluated)}

## Guidance against best-of-n at equal time

${timesSection}

## Best-of-n

${at16 ? `From n = 1 to n = 16 the judge’s gain is ${interval(at16.judge)}, ${clear(at16.judge)}. ` : ''}${turningSentence(analysis)}

![best-of-n](plots/best-of-n.svg)

${markdownTable(['n', `reward ${reward}`, `judge ${judge}`, 'KL, from the pool', 'KL bound', 'NLL per token', 'distinct-2'], byN)}

From one pool of ${candidates} answers a prompt, by order statistics: the expected score of the best of n drawn without replacement. KL in nats; its bound is ln n − (n − 1)/n, and close to n = ${candidates} the pool is too coarse to tell it.
Fluency: NLL under the policy, and the share of distinct word pairs in an answer.

${guidanceSection(analysis)}${frontierSection(analysis)}## Every strategy

![tokens](plots/tokens.svg)

${isTimed ? '![time](plots/time.svg)\n\n' : ''}${markdownTable(['way', 'reward', 'judge', 'of best-of-16’s', 'tokens', 'time', 'KL, nats', 'NLL per token', 'distinct-2', 'judge over best-of-n: equal tokens', 'equal time', 'equal KL'], wayRows)}

Tokens drawn and time are in plain answers. The last columns are the judge’s gain less that of best-of-n with as many tokens, as much time and the same KL, the n in between interpolated; – where no n up to ${candidates} has so many. *plain* and *best_of_n* are read from the pool. The KL of a
strategy is what its responses report: \`upper_bound\` and \`bound_estimate\` are not the KL itself, so that strategies with them are placed too far right. ${wish === null ? 'No wish in words is known for this reward: there is no prompted baseline.' : `*prompted* is no strategy but a system message: “${wish}”; its KL is the mean log-ratio of its answers.`}

## Controls

![controls](plots/controls.svg)

${markdownTable(['chosen by', ...shownSizes.map(n => `judge at n = ${n}`)], controlRows)}

*length only* takes the longest answer, *logprob* the one the policy holds most probable per token, the oracle the one the judge likes best: no choice can do better by this judge.

${panelSection(panel)}All figures: report.json.
`
}

/** Writes REPORT.md, report.json and plots/ into a folder. @returns the report's path */
export async function writeEvaluation (
  folder: string, evaluation: Evaluation, evaluated: Evaluated, environment: Environment
): Promise<string> {
  mkdirSync(folder, { recursive: true })
  for (const [name, plot] of Object.entries(plotsOf(evaluation, evaluated))) {
    await writePlot(join(folder, 'plots', `${name}.svg`), plot)
  }
  writeFileSync(join(folder, 'report.json'),
    `${JSON.stringify({ environment, ...evaluated, ...evaluation }, null, 1)}\n`)
  const file = join(folder, 'REPORT.md')
  writeFileSync(file, describeEvaluation(evaluation, evaluated, environment))
  return file
}
