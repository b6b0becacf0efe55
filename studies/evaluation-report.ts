/**
 * Writes models/EVALUATION.md from the results in models/evaluation/results: what steering brings and costs, what the
 * reports say in brief, and the goals that the project set itself, met or not. It measures nothing. What is not there
 * is said not to be measured.
 *
 *   node dist/studies/evaluation-report.js
 *
 * positive/, helpful/  fairlead eval --report …
 * verified/            fairlead eval-verified --report …
 * neighbour.json       fairlead bench --scenario mixed --json
 * noisy-pairs.json     node dist/studies/noisy-pairs.js --report …
 * frontier.json        node dist/studies/frontier.js --report …
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Analysis, ConfigurationFigures } from '../src/evaluation/analysis.js'
import type { ProxyCurve } from '../src/evaluation/over-optimisation-analysis.js'
import { turningSentence } from '../src/evaluation/report.js'
import type { VerifiedResult } from '../src/evaluation/verified.js'
import { packageRoot } from '../src/package-root.js'
import { describeEnvironment, type Environment } from '../src/reporting/environment.js'
import { interval, maybe, percent, range } from '../src/reporting/estimate.js'
import { tableOf } from '../src/reporting/report.js'
import type { Frontier } from './frontier.js'
import type { Choice } from './noisy-pairs.js'

const folder = join(packageRoot, 'models/evaluation/results')

interface EvalReport {
  readonly environment: Environment,
  readonly reward: string,
  readonly weight: number,
  readonly judge: string,
  readonly candidates: number,
  readonly analysis: Analysis,
  readonly panel: readonly ProxyCurve[]
}
interface VerifiedReport extends VerifiedResult { readonly environment: Environment, readonly candidates: number }
interface BenchReport {
  readonly rows: ReadonlyArray<{
    readonly what: string, readonly batch: number, readonly value: { readonly median: number }
  }>
}
interface FrontierReport extends Frontier { readonly environment: Environment }
interface StopReport { readonly environment: Environment, readonly choices: readonly Choice[] }

function read<T> (file: string): T | null {
  const path = join(folder, file)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) as T : null
}

/** An aim: what was wanted, what came out, whether that is it. */
interface Aim {
  readonly name: string,
  readonly goal: string,
  readonly measured: string,
  readonly met: boolean | null,
  readonly command: string
}

const missing = 'not measured'

/** Time is that of the evaluation's Q-head guidance: strength does not change what a token costs. */
function frontierAim (report: EvalReport | null, study: FrontierReport | null): Aim {
  const time = report?.analysis.frontier?.ways.find(({ label }) => label.startsWith('Q-head'))?.time ?? null
  const best = study?.lines.filter(({ kl }) => kl.value <= 2).toSorted((a, b) => b.share.value - a.share.value)[0]
  return {
    name: 'frontier',
    goal: 'at 2 nats or fewer an answer, Q-head guidance gets 80 % of soft best-of-64’s gain, at 1.15 × the time of ' +
      'a plain answer or less',
    measured: best
      ? `${best.label}: ${percent(best.share)} at ${best.kl.value.toFixed(2)} nats, ` +
        `${time ? `${range(time)} × the time` : 'time not taken'} (soft best-of-64: ${interval(study!.soft)}; ` +
        `${study!.prompts} prompts, [table](evaluation/results/frontier.md))`
      : missing,
    met: best && time ? best.share.value >= 0.8 && time.value <= 1.15 : null,
    command: study?.environment.command ?? 'node dist/studies/frontier.js'
  }
}

function sixteenAim (report: EvalReport | null): Aim {
  const fast = report?.analysis.ways.filter(({ time, shareOf16, label }) =>
    time && time.value <= 1.8 && shareOf16 && label !== 'plain') ?? []
  const best = fast.toSorted((a, b) => b.shareOf16!.low - a.shareOf16!.low).slice(0, 3)
  const plain = report?.analysis.ways.find(({ label }) => label === 'plain')
  const show = ({
    label, shareOf16, time, kl, tokens, nll
  }: ConfigurationFigures): string => `${label}: ${percent(shareOf16!)} at ${time!.value.toFixed(2)} × the time` +
    `${kl === null ? '' : `, ${kl.toFixed(1)} nats`}; ${tokens.toFixed(1)} × the tokens, negative log-likelihood ` +
    `${nll.toFixed(2)} (plain: ${plain!.nll.toFixed(2)})`
  return {
    name: 'sixteen for less than two',
    goal: '95 % (lower limit) of best-of-16’s gain by the judge, at 1.8 × the latency of a plain answer or less',
    measured: best.length > 0 ? best.map(show).join('; ') : missing,
    met: best.length > 0 ? best[0]!.shareOf16!.low >= 0.95 : null,
    command: report?.environment.command ?? 'fairlead eval'
  }
}

function verifiedAim (report: VerifiedReport | null): Aim {
  const configuration = report?.ways.find(({ label }) => label === 'eagerly, JSON by grammar')
  return {
    name: 'verified answers',
    goal: '90 % of pass@32 for 6 plain answers’ tokens or fewer, 3 × faster than a client’s retry loop',
    measured: configuration
      ? `${configuration.label}: ${percent(configuration.shareOfBest)} of pass@${report!.candidates}, ` +
        `${range(configuration.tokens)} × the tokens, ` +
        `${configuration.fasterThanRetry ? `${range(configuration.fasterThanRetry)} × faster` : 'time not taken'}`
      : missing,
    met: configuration?.fasterThanRetry
      ? configuration.shareOfBest.value >= 0.9 && configuration.tokens.value <= 6 &&
        configuration.fasterThanRetry.value >= 3
      : null,
    command: report?.environment.command ?? 'fairlead eval-verified'
  }
}

function neighbourAim (report: BenchReport | null): Aim {
  const [gap, rate] = report?.rows.filter(({ what }) => what === 'the same over that alone') ?? []
  return {
    name: 'good neighbour',
    goal: 'beside a search of 64 a stream’s p99 gap is 2.5 × that alone or less, and the search keeps 60 % of ' +
      'its speed',
    measured: gap && rate
      ? `gap ${gap.value.median.toFixed(2)} × that alone, search ${(100 * rate.value.median).toFixed(0)} % of its ` +
        `speed (a search of ${rate.batch})`
      : missing,
    met: gap && rate ? gap.value.median <= 2.5 && rate.value.median >= 0.6 : null,
    command: 'fairlead bench --scenario mixed --json'
  }
}

function stopAim (report: StopReport | null): Aim {
  const [best] = report?.choices.filter(({ below }) => below === 0)
    .toSorted((a, b) => b.share.value - a.share.value) ?? []
  return {
    name: 'knows when to stop',
    goal: 'from 200 pairs, a quarter labelled wrongly, the server chooses N and strength itself: 95 % of the best ' +
      'choice, never clearly below plain in 20 draws',
    measured: best
      ? `${best.name}: ${percent(best.share)} of the best choice, no draw clearly below plain ` +
        '([table](evaluation/results/noisy-pairs.md))'
      : missing,
    met: best ? best.share.value >= 0.95 : null,
    command: report?.environment.command ?? 'node dist/studies/noisy-pairs.js'
  }
}

const verdict = ({ met }: Aim): string => met === null ? '–' : met ? 'met' : '**not met**'

/** Where guidance by the reward fitted on whole answers stands beside that fitted on prefixes. */
function outcomeSentence ({ ways: configurations }: Analysis): string {
  const outcome = configurations.filter(({ curve, overLookAhead }) =>
    curve?.name.includes('whole answers') && overLookAhead)
  return outcome.length === 0
    ? 'their KLs do not overlap'
    : outcome.map(({ kl, overLookAhead }) => `${interval(overLookAhead!)} at ${kl!.toFixed(1)} nats`).join(', ')
}

function overOptimisationSentence (proxies: readonly ProxyCurve[], largest: number): string {
  const turned = proxies.filter(({ group, turning }) => group === 'small fits' && turning.after.high < 0)
  return turned.length === 0
    ? `none is over-optimised up to n = ${largest}`
    : turned.map(({ label, turning }) =>
      `${label} turns at n = ${turning.bestN} (${interval(turning.after)} from there on)`).join('; ')
}

/** What `fairlead eval` found of one reward, in brief. */
function brief (report: EvalReport | null, name: string): string {
  if (!report) return `## ${name}\n\nNot measured.\n`
  const { analysis, reward, weight, judge, environment, panel } = report
  const largest = analysis.bestOfN.at(-1)!.n
  const bestOf = (n: number): string => maybe(analysis.bestOfN.find(one => one.n === n)?.judge ?? null)
  const prompted = maybe(analysis.ways.find(({ label }) => label === 'prompted')?.judge ?? null)
  const oracle = analysis.controls.find(({ label }) => label.startsWith('oracle'))!.judge
    .find(({ n }) => n === Math.min(16, largest))!.gain
  return `## ${reward}, weight ${weight}

${describeEnvironment(environment)}

![token guidance against best-of-n at equal time](evaluation/results/${name}/plots/guidance-time.svg)

![best-of-n](evaluation/results/${name}/plots/best-of-n.svg)

- Judge ${judge}, ${analysis.prompts} prompts: from one answer to the best of 16 ${bestOf(16)}, of ${largest} ${bestOf(largest)}. ${turningSentence(analysis)}
- A system message that states the wish: ${prompted}; the judge itself choosing among 16 (oracle): ${interval(oracle)}.
- Guidance by the reward fitted on whole answers less by the one fitted on prefixes, at equal KL: ${outcomeSentence(analysis)}.
- Small fits on noisy pairs: ${overOptimisationSentence(panel, largest)}.

The whole report, with every strategy at equal tokens, time and KL, controls and the over-optimisation study: [${name}](evaluation/results/${name}/REPORT.md).
`
}

/** A wish, what steering towards it is worth, and what an answer costs then. */
interface Worth { readonly wish: string, readonly way: string, readonly gain: string, readonly cost: string }

/** What best of 16 by a reward is worth by a judge. */
function rewardWorth (report: EvalReport | null, wish: string): Worth[] {
  const best = report?.analysis.ways.find(({ label }) => label === 'best_of_n 16')
  if (!report || !best?.judge) return []
  const { reward, weight, judge } = report
  const isShown = best.judge.low > 0
  return [{
    wish,
    way: `best of 16 by \`${reward}\`${weight === 1 ? '' : `, weight ${String(weight).replace('-', '−')}`}`,
    gain: `${interval(best.judge)} standard deviations by the judge \`${judge}\`${isShown ? '' : ': **not shown**'}`,
    cost: `${best.tokens} × the tokens${best.time ? `, ${range(best.time)} × the time of a plain answer` : ''}`
  }]
}

function verifiedWorth (report: VerifiedReport | null): Worth[] {
  const way = report?.ways.find(({ label }) => label === 'eagerly, JSON by grammar')
  const first = report?.passAt.find(({ n }) => n === 1)
  if (!report || !way || !first) return []
  return [{
    wish: 'answers that a program can check',
    way: 'sampling until one passes, JSON by a grammar',
    gain: `${percent(first.rate)} pass at the first try, ${percent(way.passed)} with the checks as the reward`,
    cost: `${range(way.tokens)} × the tokens${way.time ? `, ${range(way.time)} × the time of a plain answer` : ''}`
  }]
}

/** The page as the results have it. */
export function evaluationPage (): string {
  const [positive, helpful] = [read<EvalReport>('positive/report.json'), read<EvalReport>('helpful/report.json')]
  const verified = read<VerifiedReport>('verified/report.json')
  const aims = [frontierAim(positive, read<FrontierReport>('frontier.json')), sixteenAim(positive),
    verifiedAim(verified), neighbourAim(read<BenchReport>('neighbour.json')),
    stopAim(read<StopReport>('noisy-pairs.json'))]
  const worths = [...rewardWorth(positive, 'a critical tone'), ...rewardWorth(helpful, 'a more helpful answer'),
    ...verifiedWorth(verified)]
  return `# What steering is worth, measured

Written by \`node dist/studies/evaluation-report.js\` from the reports in [evaluation/results](evaluation/results). Gains are over plain answers to the same prompts, in standard deviations of the judge's scores of all plain answers together; in brackets 95 % intervals over prompts.
The judges are weak: bags of words, fitted on none of the reward's training answers. [sentiment](evaluation/judges/sentiment.md) is right on 69 % of single sentences, [instructions](evaluation/judges/instructions.md) on 64 % of pairs. They see words only, not whether an answer is shorter or reads oddly.

${tableOf(worths, [['what is wished for', ({ wish }) => wish], ['how', ({ way }) => way], ['what it brings', ({ gain }) => gain], ['what it costs', ({ cost }) => cost]])}

${brief(positive, 'positive')}
${brief(helpful, 'helpful')}
## Verified answers

${verified ? `![answers that pass](evaluation/results/verified/plots/pass.svg)\n\n${verified.prompts} prompts whose answers a program checks: [report](evaluation/results/verified/REPORT.md).` : 'Not measured.'}

## Goals we set

${tableOf(aims, [['goal', ({ name }) => name], ['what it asks', ({ goal }) => goal], ['measured', ({ measured }) => measured], ['', verdict], ['command', ({ command }) => `\`${command}\``]])}

Shares are of the judge's gain, not the reward's. A goal is met where the measured value is beyond it; where it asks for a lower limit, where the lower end of the interval is.
`
}

if (import.meta.filename === process.argv[1]) writeFileSync(join(packageRoot, 'models/EVALUATION.md'), evaluationPage())
