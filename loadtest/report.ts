/** What the load test found: a table for the terminal, figures as JSON, and REPORT.md with plots. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Table from 'cli-table3'
import { describeEnvironment, type Environment } from '../src/reporting/environment.js'
import { markdownTable } from '../src/reporting/markdown.js'
import { writePlot, type Plot, type PlotSeries } from '../src/reporting/plot.js'
import { ratiosOf, type EngineTurn } from './beside-engine.js'
import { agreement, type CrossCheck } from './guidellm.js'
import { type Measurement, type Objectives, type Quantiles } from './measurement.js'
import { spreadOf, type Spread } from './peers/statistics.js'
import type { Scenario } from './scenarios.js'

export interface LoadReport {
  readonly environment: Environment
  readonly objectives: Objectives
  readonly maxTokens: number
  /** False where it was interrupted before its end. */
  readonly finished: boolean
  readonly measurements: readonly Measurement[]
  readonly engineTurns: readonly EngineTurn[]
  /** Null where it was not asked for. */
  readonly crossCheck: CrossCheck | null
}

export const defaultConfiguration = 'default'

const pair = (quantiles: Quantiles | null): string =>
  quantiles ? `${quantiles.p50.toFixed(0)} / ${quantiles.p90.toFixed(0)} / ${quantiles.p99.toFixed(0)}` : '–'
const levelOf = ({ loop, level }: Measurement): string =>
  loop === 'closed' ? `${level} at once` : `${level.toFixed(2)}/s`

const head = ['scenario', 'by', 'load', 'requests', 'errors', 'requests/s', 'goodput/s', 'output tokens/s',
  'generated tokens/s', 'candidates/s', 'rewards/s', 'TTFT ms', 'TPOT ms', 'ITL ms', 'latency ms', 'prefix hits',
  'generator CPU']

function rowOf (one: Measurement): string[] {
  return [
    one.configuration === defaultConfiguration ? one.scenario : `${one.scenario}, ${one.configuration}`, one.transport,
    levelOf(one), String(one.requests), String(one.errors), one.requestsPerSecond.toFixed(2), one.goodput.toFixed(2),
    one.outputTokensPerSecond.toFixed(0), one.generatedTokensPerSecond.toFixed(0), one.candidatesPerSecond.toFixed(1),
    one.rewardsPerSecond.toFixed(1), pair(one.ttftMs), pair(one.tpotMs), pair(one.itlMs), pair(one.latencyMs),
    `${(100 * one.prefixHitRate).toFixed(0)} %`, one.generatorCpu.toFixed(2)
  ]
}

export function tableOf (measurements: readonly Measurement[]): string {
  const table = new Table({ head, style: { head: [], border: [], compact: true } })
  for (const one of measurements) table.push(rowOf(one))
  return table.toString()
}

const closed = (
  measurements: readonly Measurement[], scenario: string, transport = 'http', configuration = defaultConfiguration
): Measurement[] =>
  measurements.filter(one => one.loop === 'closed' && one.scenario === scenario && one.transport === transport &&
    one.configuration === configuration).sort((a, b) => a.level - b.level)

const largest = (measurements: readonly Measurement[], of: (one: Measurement) => number): Measurement | undefined =>
  measurements.reduce<Measurement | undefined>((best, one) => !best || of(one) > of(best) ? one : best, undefined)

/**
 * The answer in one line: plain streams, or guided answers a minute, and what a stream's gaps are then. Null where they
 * were not measured.
 */
export function capacityOf (
  { measurements, objectives, maxTokens }: Pick<LoadReport, 'measurements' | 'objectives' | 'maxTokens'>
): string | null {
  const streams = closed(measurements, 'streaming')
    .filter(({ itlMs }) => itlMs !== null && itlMs.p99 <= objectives.tpot).at(-1)
  const guided = largest(closed(measurements, 'best_of_n'), ({ requestsPerSecond }) => requestsPerSecond)
  const mixed = closed(measurements, 'mixed').at(-1)
  if (!guided && !closed(measurements, 'streaming').length) return null
  const parts = [
    streams
      ? `${streams.level} plain streams at a p99 inter-token gap of ${streams.itlMs!.p99.toFixed(0)} ms`
      : `no plain stream at a p99 inter-token gap of ${objectives.tpot} ms or less`,
    ...guided
      ? [`or ${(60 * guided.requestsPerSecond).toFixed(0)} best-of-16 answers of ${maxTokens} tokens a minute`]
      : [],
    ...mixed?.itlMs ? [`mixed, ${mixed.level} at once, streams have a p99 gap of ${mixed.itlMs.p99.toFixed(0)} ms`] : []
  ]
  return `${parts.join(', ').replace(', mixed', '; mixed')}.`
}

/** What switching something off costs: the default over the ablated rate, on the same load. */
export function ablationsOf (
  measurements: readonly Measurement[]
): Array<{ readonly what: string, readonly with: Measurement, readonly without: Measurement }> {
  return measurements.filter(one => one.configuration !== defaultConfiguration).flatMap(without => {
    const same =
      measurements.find(one => one.configuration === defaultConfiguration && one.scenario === without.scenario &&
        one.transport === without.transport && one.loop === without.loop && one.level === without.level)
    return same ? [{ what: without.configuration, with: same, without }] : []
  })
}

function plotsOf ({ measurements }: LoadReport, scenarios: readonly Scenario[]): Record<string, Plot> {
  const names = scenarios.map(({ name }) => name)
  const lines = (of: (one: Measurement) => number | undefined): PlotSeries[] => names.map(name => ({
    name,
    kind: 'line',
    points: closed(measurements,
      name).flatMap(one => { const y = of(one); return y === undefined ? [] : [{ x: one.level, y }] })
  }))
  const x = { label: 'requests in flight', scale: 'log' } as const
  return {
    throughput: {
      title: 'Tokens drawn a second',
      x,
      y: { label: 'generated tokens/s' },
      series: lines(one => one.generatedTokensPerSecond)
    },
    ttft: {
      title: 'Time to first token, p50', x, y: { label: 'ms', scale: 'log' }, series: lines(one => one.ttftMs?.p50)
    },
    gaps: { title: 'Inter-token gap, p99', x, y: { label: 'ms', scale: 'log' }, series: lines(one => one.itlMs?.p99) },
    latency: { title: 'Latency, p50', x, y: { label: 'ms', scale: 'log' }, series: lines(one => one.latencyMs?.p50) }
  }
}

const range = ({ median, least, most }: Spread): string =>
  `${median.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`

/** What HTTP, SSE and WebSockets cost: a row for each transport. Nothing where there were no turns. */
export function engineRows (engineTurns: readonly EngineTurn[]): string[][] {
  return (['http', 'websocket'] as const).flatMap(transport => {
    const ratios = ratiosOf(engineTurns, transport)
    if (!ratios) return []
    const served = engineTurns.flatMap(turn => turn.served.filter(one => one.transport === transport))
    return [[`${engineTurns[0]!.level} by ${transport}`, spreadOf(engineTurns.map(({ engine }) =>
      engine)).median.toFixed(0), spreadOf(served.map(one => one.tokensPerSecond)).median.toFixed(0),
    range(ratios.plain), range(ratios.generatorCpu), range(ratios.beside)]]
  })
}

const engineHead = ['streams at once', 'engine tokens/s', 'server tokens/s', 'server ÷ engine', 'generator CPU',
  'server ÷ engine, beside the generator']

function engineSection ({ engineTurns }: LoadReport): string {
  if (engineTurns.length === 0) return ''
  return `## Beside the engine alone

In turns: \`fairlead bench --scenario requests\` with as many requests in flight, prompts as long and as much of them cached, then the same requests to the server. Medians, least and most of ${engineTurns.length} turns. The load generator takes its CPU time from the cores that both compute on; the
last column is the ratio to what the engine would reach on the cores that are left.

${markdownTable(engineHead, engineRows(engineTurns))}

`
}

function crossCheckSection ({ crossCheck }: LoadReport): string {
  if (!crossCheck) return ''
  const [before, after] = crossCheck.ours
  return `## By another load generator\n\nOutput tokens/s of ${crossCheck.level} streams at once: ` +
    `${before!.toFixed(0)} by this load generator, ${crossCheck.guidellm.toFixed(0)} by guidellm, ` +
    `${after!.toFixed(0)} by this one again; guidellm ÷ mean ${agreement(crossCheck).toFixed(2)}.\n\n`
}

/** The report as Markdown. @param comparison lines of an earlier report's ratios, if one was given */
export function describeLoad (
  report: LoadReport, scenarios: readonly Scenario[], comparison: ReadonlyArray<readonly string[]>
): string {
  const { environment, objectives, maxTokens, finished, measurements } = report
  const ablations = ablationsOf(measurements)
  return `# Load test

${finished ? '' : '**Partial**: interrupted.\n\n'}${describeEnvironment(environment)} Load generator and server share these cores.

**Capacity**: ${capacityOf(report) ?? 'not measured: it needs the scenarios streaming and best_of_n.'}

Answers have exactly ${maxTokens} tokens. TTFT, TPOT, ITL as vLLM's benchmark defines them: until the first text, (latency − TTFT) / (output tokens − 1), between two pieces of one answer; p50 / p90 / p99. Goodput: requests/s with TTFT ≤ ${objectives.ttft} ms and TPOT ≤ ${objectives.tpot} ms
where they stream, else latency ≤ ${objectives.latency} ms. Rewards/s are what the strategies score, by their parameters. Prefix hits: share of prompt tokens whose KV was there. Generator CPU: cores that the load generator itself took.

${scenarios.map(({ name, what }) => `- \`${name}\`: ${what}`).join('\n')}

## Closed loop: so many requests in flight

![tokens](plots/throughput.svg)

![TTFT](plots/ttft.svg)

![gaps](plots/gaps.svg)

![latency](plots/latency.svg)

${markdownTable(head, measurements.filter(one => one.loop === 'closed' && one.configuration === defaultConfiguration).map(rowOf))}

## Open loop: Poisson arrivals

${markdownTable(head, measurements.filter(one => one.loop === 'open').map(rowOf))}

## What is switched off

${markdownTable(['off', 'scenario', 'load', 'generated tokens/s, on', 'off', 'on ÷ off', 'TTFT p50 ms, on', 'off'], ablations.map(one => [
  one.what, one.with.scenario, levelOf(one.with), one.with.generatedTokensPerSecond.toFixed(0),
  one.without.generatedTokensPerSecond.toFixed(0), one.without.requests === 0
    ? '–'
    : (one.with.generatedTokensPerSecond / one.without.generatedTokensPerSecond).toFixed(2),
  one.with.ttftMs?.p50.toFixed(0) ?? '–', one.without.ttftMs?.p50.toFixed(0) ?? '–'
]))}

${engineSection(report)}${crossCheckSection(report)}${comparison.length > 0 ? `## Beside an earlier report\n\nNew over old; above 1 is more.\n\n${markdownTable(comparisonHead, comparison)}\n\n` : ''}All figures: report.json.
`
}

export const comparisonHead = ['load', 'generated tokens/s', 'requests/s', 'TTFT p50', 'ITL p99', 'latency p50']

/** Ratios of this report's figures to an earlier one's, for the loads that both have. */
export function compare (now: readonly Measurement[], then: readonly Measurement[]): string[][] {
  const name = (one: Measurement): string =>
    [one.configuration, one.scenario, one.transport, one.loop, one.loop === 'closed' ? one.level : ''].join(' ')
  const ratio = (a: number | undefined, b: number | undefined): string =>
    a === undefined || b === undefined || b === 0 ? '–' : (a / b).toFixed(2)
  return now.flatMap(one => {
    const other = then.find(old => name(old) === name(one))
    return other
      ? [[`${one.configuration === defaultConfiguration ? '' : `${one.configuration}, `}${one.scenario} by ` +
        `${one.transport}, ${levelOf(one)}`, ratio(one.generatedTokensPerSecond, other.generatedTokensPerSecond),
      ratio(one.requestsPerSecond, other.requestsPerSecond), ratio(one.ttftMs?.p50, other.ttftMs?.p50),
      ratio(one.itlMs?.p99, other.itlMs?.p99), ratio(one.latencyMs?.p50, other.latencyMs?.p50)]]
      : []
  })
}

/** Writes report.json only: what a run leaves that is killed. */
export function writeFigures (folder: string, report: LoadReport): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'report.json'), `${JSON.stringify(report, null, 1)}\n`)
}

/** Writes report.json, REPORT.md and plots/. @returns the report's path */
export async function writeReport (
  folder: string, report: LoadReport, scenarios: readonly Scenario[], comparison: ReadonlyArray<readonly string[]>
): Promise<string> {
  writeFigures(folder, report)
  for (const [name, plot] of Object.entries(plotsOf(report, scenarios))) {
    await writePlot(join(folder, 'plots', `${name}.svg`), plot)
  }
  const file = join(folder, 'REPORT.md')
  writeFileSync(file, describeLoad(report, scenarios, comparison))
  return file
}
