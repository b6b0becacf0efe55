/** An evaluation as a report: Markdown with plots, and all figures as JSON beside it. Knows figures, not how they were found. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeEnvironment, type Environment } from '../reporting/environment.js'
import { markdownTable } from '../reporting/markdown.js'
import { writePlot, type Plot, type PlotPoint, type PlotSeries } from '../reporting/plot.js'
import type { PanelCurve, WayFigures } from './analysis.js'
import type { Evaluation, EvaluationOptions } from './evaluate.js'
import { flipped, trainingAnswers, trainingPrompts } from './panel.js'
import type { Estimate } from './statistics.js'
import { plainLabel } from './ways.js'

/** What was evaluated, for the report's head. */
export interface Evaluated extends Omit<EvaluationOptions, 'prompts' | 'folder'> {
  /** Name or file of the prompt set. */
  readonly promptSet: string
  readonly fingerprint: string
  readonly rewardVersion: string
}

const signed = (value: number): string => `${value < 0 && value.toFixed(2) !== '-0.00' ? '−' : '+'}${Math.abs(value).toFixed(2)}`

/** `+0.42 [+0.30, +0.55]` */
export const interval = ({ value, low, high }: Estimate): string => Number.isFinite(low) ? `${signed(value)} [${signed(low)}, ${signed(high)}]` : signed(value)

const maybe = (estimate: Estimate | null): string => estimate === null ? '–' : interval(estimate)
const point = (x: number, { value, low, high }: Estimate): PlotPoint => ({ x, y: value, ...Number.isFinite(low) ? { low, high } : {} })
const gainLabel = 'gain over plain, standard deviations'

function plotsOf ({ analysis, panel }: Evaluation, { reward, weight, judge }: Evaluated): Record<string, Plot> {
  const { bestOfN, ways, controls } = analysis
  const prompted = ways.find(({ label }) => label === 'prompted')
  const curve = (pick: (one: typeof bestOfN[number]) => number): PlotSeries => ({ name: 'best-of-n', kind: 'line', points: bestOfN.map(one => point(pick(one), one.judge)) })
  const wayPoints = (pick: (way: WayFigures) => number | null): PlotSeries[] => ways.flatMap(way => {
    const x = pick(way)
    return x === null ? [] : [{ name: way.label, kind: 'points', points: [point(x, way.judge)] }]
  })
  const flat = (name: string, estimate: Estimate): PlotSeries => ({ name, kind: 'line', points: bestOfN.map(({ n }) => ({ x: n, y: estimate.value })) })
  const panelPlot = (group: string): Plot => ({
    title: `Over-optimisation, ${group}: judge “${judge}”`,
    x: { label: 'n of best-of-n', scale: 'log' },
    y: { label: gainLabel },
    series: panel.filter(one => one.group === group).map(({ label, curve }) => ({ name: label, kind: 'line', points: curve.map(one => point(one.n, one.judge)) }))
  })
  return {
    'best-of-n': {
      title: `Best-of-n by ${reward} (weight ${weight})`,
      x: { label: 'n', scale: 'log' },
      y: { label: gainLabel },
      series: [
        { name: `reward ${reward}`, kind: 'line', points: bestOfN.map(one => point(one.n, one.proxy)) },
        { name: `judge ${judge}`, kind: 'line', points: bestOfN.map(one => point(one.n, one.judge)) },
        ...prompted ? [flat('judge, prompted baseline', prompted.judge)] : []
      ]
    },
    tokens: { title: 'Judge’s gain against tokens drawn', x: { label: 'tokens drawn, in plain answers', scale: 'log' }, y: { label: gainLabel }, series: [curve(({ n }) => n), ...wayPoints(({ tokens }) => tokens)] },
    time: { title: 'Judge’s gain against time', x: { label: 'time, in plain answers', scale: 'log' }, y: { label: gainLabel }, series: wayPoints(({ time }) => time) },
    kl: { title: 'Judge’s gain against KL to the policy', x: { label: 'KL, nats (best-of-n: its bound)' }, y: { label: gainLabel }, series: [curve(({ klBound }) => klBound), ...wayPoints(({ kl }) => kl)] },
    controls: {
      title: 'What choosing by something else is worth',
      x: { label: 'n of best-of-n', scale: 'log' },
      y: { label: `judge’s ${gainLabel}` },
      series: [{ name: `reward ${reward}`, kind: 'line', points: bestOfN.map(one => point(one.n, one.judge)) }, ...controls.map(({ label, judge: gains }): PlotSeries => ({ name: label, kind: 'line', points: gains.map(({ n, gain }) => point(n, gain)) }))]
    },
    ...Object.fromEntries([...new Set(panel.map(({ group }) => group))].map((group, index) => [`panel-${index + 1}`, panelPlot(group)]))
  }
}

const clear = ({ low, high }: Estimate): string => low > 0 ? 'clear of zero' : high < 0 ? 'clearly below zero' : 'not clear of zero'

function turningSentence ({ turning: { bestN, after }, bestOfN }: Evaluation['analysis']): string {
  const largest = bestOfN.at(-1)!.n
  if (bestN === largest) return `The judge’s gain is largest at the largest n, ${largest}: no over-optimisation is seen here.`
  const verdict = after.high < 0 ? `from there to n = ${largest} it falls: over-optimisation` : `from there to n = ${largest} the difference is within its interval`
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

/** The report as Markdown. */
export function describeEvaluation (evaluation: Evaluation, evaluated: Evaluated, environment: Environment): string {
  const { analysis, panel, finished } = evaluation
  const { bestOfN, ways, controls } = analysis
  const { reward, weight, judge, promptSet, candidates, seeds, maxTokens, wish, fingerprint, rewardVersion } = evaluated
  const at16 = bestOfN.find(({ n }) => n === 16)
  const byN = bestOfN.map(({ n, proxy, judge: judged, kl, klBound, nll, distinctPairs }) => [String(n), interval(proxy), interval(judged), kl.toFixed(2), klBound.toFixed(2), nll.toFixed(3), distinctPairs.toFixed(3)])
  const wayRows = ways.map(({ label, proxy, judge: judged, tokens, time, kl, klKind, nll, distinctPairs, overBestOfN }) => [
    label, interval(proxy), interval(judged), tokens.toFixed(1), time.toFixed(2), kl === null ? '–' : `${kl.toFixed(2)} (${klKind ?? '?'})`, nll.toFixed(3), distinctPairs.toFixed(3),
    ...label === plainLabel ? ['–', '–', '–'] : [maybe(overBestOfN.tokens), maybe(overBestOfN.time), maybe(overBestOfN.kl)]
  ])
  const shownSizes = bestOfN.map(({ n }) => n).filter(n => [4, 16].includes(n) || n === bestOfN.at(-1)!.n)
  const controlRows = controls.map(({ label, judge: gains }) => [label, ...shownSizes.map(n => interval(gains.find(one => one.n === n)!.gain))])
  return `# What steering by ${reward} is worth (weight ${weight})

${finished ? '' : `**Partial**: interrupted; ${analysis.prompts} prompts are in it. The same command goes on from there.\n\n`}${describeEnvironment(environment)}

Model ${fingerprint}; reward ${reward} ${rewardVersion}; judge ${judge}, which shares neither data nor features with it; ${analysis.prompts} prompts of ${promptSet}; a pool of ${candidates} plain answers each, ${maxTokens} tokens at most, temperature 1; ${seeds} seed${seeds === 1 ? '' : 's'} of every other way.

Gains are over plain answers to the same prompts, in standard deviations of plain answers, the reward’s and the judge’s each on its own scale; a positive gain is what the weight asks for. In brackets: 95 % intervals over prompts (bootstrap).

## Best-of-n

${at16 ? `From n = 1 to n = 16 the judge’s gain is ${interval(at16.judge)}, ${clear(at16.judge)}. ` : ''}${turningSentence(analysis)}

![best-of-n](plots/best-of-n.svg)

${markdownTable(['n', `reward ${reward}`, `judge ${judge}`, 'KL, from the pool', 'KL bound', 'NLL per token', 'distinct-2'], byN)}

From one pool of ${candidates} answers a prompt, by order statistics: the expected score of the best of n drawn without replacement. KL in nats; its bound is ln n − (n − 1)/n, and close to n = ${candidates} the pool is too coarse to tell it.
Fluency: NLL under the policy, and the share of distinct word pairs in an answer.

## Every strategy

![tokens](plots/tokens.svg)

![time](plots/time.svg)

![KL](plots/kl.svg)

${markdownTable(['way', 'reward', 'judge', 'tokens', 'time', 'KL, nats', 'NLL per token', 'distinct-2', 'judge over best-of-n: equal tokens', 'equal time', 'equal KL'], wayRows)}

Tokens drawn and time are in plain answers (the time as the median of ratios on one prompt). The last columns are the judge’s gain less that of best-of-n with as many tokens, as much time and the same KL, the n in between interpolated. The KL of a
strategy is what its responses report: \`upper_bound\` and \`bound_estimate\` are not the KL itself, so that strategies with them are placed too far right. ${wish === null ? 'No wish in words is known for this reward: there is no prompted baseline.' : `*prompted* is no strategy but a system message: “${wish}”; its KL is the mean log-ratio of its answers.`}

## Controls

![controls](plots/controls.svg)

${markdownTable(['chosen by', ...shownSizes.map(n => `judge at n = ${n}`)], controlRows)}

*length only* takes the longest answer, *logprob* the one the policy holds most probable per token, the oracle the one the judge likes best: no choice can do better by this judge.

${panelSection(panel)}All figures: report.json.
`
}

/** Writes REPORT.md, report.json and plots/ into a folder. @returns the report's path */
export async function writeEvaluation (folder: string, evaluation: Evaluation, evaluated: Evaluated, environment: Environment): Promise<string> {
  mkdirSync(folder, { recursive: true })
  for (const [name, plot] of Object.entries(plotsOf(evaluation, evaluated))) await writePlot(join(folder, 'plots', `${name}.svg`), plot)
  writeFileSync(join(folder, 'report.json'), `${JSON.stringify({ environment, ...evaluated, ...evaluation }, null, 1)}\n`)
  const file = join(folder, 'REPORT.md')
  writeFileSync(file, describeEvaluation(evaluation, evaluated, environment))
  return file
}
