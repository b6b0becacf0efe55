/** What the load test found: a table for the terminal, figures as JSON, and REPORT.md with plots. */
import Table from 'cli-table3'
import type { Environment } from '../../src/reporting/environment.js'
import type { Plot } from '../../src/reporting/plot.js'
import { headOf, markdownTable, tableOf, writeReport, type Column } from '../../src/reporting/report.js'
import { showSpread, spreadOf } from '../../src/reporting/spread.js'
import { ratiosOf, type EngineTurn } from './beside-engine.js'
import { agreement, type CrossCheck } from './guidellm.js'
import { defaultConfiguration, type Measurement, type Objectives, type Quantiles } from './measurement.js'
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

const showQuantiles = (quantiles: Quantiles | null): string =>
  quantiles ? `${quantiles.p50.toFixed(0)} / ${quantiles.p90.toFixed(0)} / ${quantiles.p99.toFixed(0)}` : '–'
const levelOf = ({ loop, level }: Measurement): string =>
  loop === 'closed' ? `${level} at once` : `${level.toFixed(2)}/s`

const columns: ReadonlyArray<Column<Measurement>> = [
  ['scenario', ({ scenario, configuration }) =>
    configuration === defaultConfiguration ? scenario : `${scenario}, ${configuration}`],
  ['by', ({ transport }) => transport],
  ['load', levelOf],
  ['requests', ({ requests }) => String(requests)],
  ['errors', ({ errors }) => String(errors)],
  ['requests/s', ({ requestsPerSecond }) => requestsPerSecond.toFixed(2)],
  ['goodput/s', ({ goodput }) => goodput.toFixed(2)],
  ['output tokens/s', ({ outputTokensPerSecond }) => outputTokensPerSecond.toFixed(0)],
  ['generated tokens/s', ({ generatedTokensPerSecond }) => generatedTokensPerSecond.toFixed(0)],
  ['candidates/s', ({ candidatesPerSecond }) => candidatesPerSecond.toFixed(1)],
  ['rewards/s', ({ rewardsPerSecond }) => rewardsPerSecond.toFixed(1)],
  ['TTFT ms', ({ ttftMs }) => showQuantiles(ttftMs)],
  ['TPOT ms', ({ tpotMs }) => showQuantiles(tpotMs)],
  ['ITL ms', ({ itlMs }) => showQuantiles(itlMs)],
  ['latency ms', ({ latencyMs }) => showQuantiles(latencyMs)],
  ['prefix hits', ({ prefixHitRate }) => `${(100 * prefixHitRate).toFixed(0)} %`],
  ['generator CPU', ({ generatorCpu }) => generatorCpu.toFixed(2)]
]

const closed = (measurements: readonly Measurement[], scenario: string): Measurement[] =>
  measurements.filter(one => one.loop === 'closed' && one.scenario === scenario && one.transport === 'http' &&
    one.configuration === defaultConfiguration).sort((a, b) => a.level - b.level)

/**
 * The answer in one line: plain streams, or guided answers a minute, and what a stream's gaps are then. Null where they
 * were not measured.
 */
export function capacityOf (
  { measurements, objectives, maxTokens }: Pick<LoadReport, 'measurements' | 'objectives' | 'maxTokens'>
): string | null {
  const streaming = closed(measurements, 'streaming')
  const streams = streaming.filter(({ itlMs }) => itlMs !== null && itlMs.p99 <= objectives.tpot).at(-1)
  const guided = closed(measurements, 'best_of_n').map(({ requestsPerSecond }) => requestsPerSecond)
  const mixed = closed(measurements, 'mixed').at(-1)
  if (guided.length === 0 && streaming.length === 0) return null
  const plain = streams
    ? `${streams.level} plain streams at a p99 inter-token gap of ${streams.itlMs!.p99.toFixed(0)} ms`
    : `no plain stream at a p99 inter-token gap of ${objectives.tpot} ms or less`
  return plain + (guided.length > 0
    ? `, or ${(60 * Math.max(...guided)).toFixed(0)} best-of-16 answers of ${maxTokens} tokens a minute`
    : '') + (mixed?.itlMs
    ? `; mixed, ${mixed.level} at once, streams have a p99 gap of ${mixed.itlMs.p99.toFixed(0)} ms.`
    : '.')
}

/** What switching something off costs: the default over the ablated rate, on the same load. */
export function ablationsOf (
  measurements: readonly Measurement[]
): Array<{ readonly what: string, readonly with: Measurement, readonly without: Measurement }> {
  const key = ({ scenario, transport, loop, level }: Measurement): string => [scenario, transport, loop, level].join()
  return measurements.filter(one => one.configuration !== defaultConfiguration).flatMap(without => {
    const same = measurements.find(one => one.configuration === defaultConfiguration && key(one) === key(without))
    return same ? [{ what: without.configuration, with: same, without }] : []
  })
}

function plotsOf ({ measurements }: LoadReport, scenarios: readonly Scenario[]): Record<string, Plot> {
  const plot = (title: string, y: Plot['y'], of: (one: Measurement) => number | undefined): Plot => ({
    title,
    x: { label: 'requests in flight', scale: 'log' },
    y,
    series: scenarios.map(({ name }) => ({
      name,
      kind: 'line',
      points: closed(measurements, name).flatMap(one => {
        const value = of(one)
        return value === undefined ? [] : [{ x: one.level, y: value }]
      })
    }))
  })
  const ms = { label: 'ms', scale: 'log' } as const
  return {
    throughput: plot('Tokens drawn a second', { label: 'generated tokens/s' }, one => one.generatedTokensPerSecond),
    ttft: plot('Time to first token, p50', ms, one => one.ttftMs?.p50),
    gaps: plot('Inter-token gap, p99', ms, one => one.itlMs?.p99),
    latency: plot('Latency, p50', ms, one => one.latencyMs?.p50)
  }
}

/** What HTTP, SSE and WebSockets cost: a row for each transport. Nothing where there were no turns. */
function engineRows (engineTurns: readonly EngineTurn[]): string[][] {
  return (['http', 'websocket'] as const).flatMap(transport => {
    const ratios = ratiosOf(engineTurns, transport)
    if (!ratios) return []
    const served = engineTurns.flatMap(turn => turn.served.filter(one => one.transport === transport))
    return [[`${engineTurns[0]!.level} by ${transport}`,
      spreadOf(engineTurns.map(({ engine }) => engine)).median.toFixed(0),
      spreadOf(served.map(one => one.tokensPerSecond)).median.toFixed(0), showSpread(ratios.plain),
      showSpread(ratios.generatorCpu), showSpread(ratios.beside)]]
  })
}

const engineHead = ['streams at once', 'engine tokens/s', 'server tokens/s', 'server ÷ engine', 'generator CPU',
  'server ÷ engine, beside the generator']

const engineSection = (engineTurns: readonly EngineTurn[]): string => engineTurns.length === 0
  ? ''
  : `## Beside the engine alone

In turns: \`fairlead bench --scenario requests\` with as many requests in flight, prompts as long and as much of them cached, then the same requests to the server. Medians, least and most of ${engineTurns.length} turns. The load generator takes its CPU time from the cores that both compute on; the
last column is the ratio to what the engine would reach on the cores that are left.

${markdownTable(engineHead, engineRows(engineTurns))}

`

function crossCheckSection (crossCheck: CrossCheck | null): string {
  if (!crossCheck) return ''
  const [before, after] = crossCheck.ours
  return `## By another load generator\n\nOutput tokens/s of ${crossCheck.level} streams at once: ` +
    `${before!.toFixed(0)} by this load generator, ${crossCheck.guidellm.toFixed(0)} by guidellm, ` +
    `${after!.toFixed(0)} by this one again; guidellm ÷ mean ${agreement(crossCheck).toFixed(2)}.\n\n`
}

function ablationsTable (measurements: readonly Measurement[]): string {
  const rate = ({ generatedTokensPerSecond }: Measurement): string => generatedTokensPerSecond.toFixed(0)
  const ttft = ({ ttftMs }: Measurement): string => ttftMs?.p50.toFixed(0) ?? '–'
  return tableOf(ablationsOf(measurements), [
    ['off', ({ what }) => what], ['scenario', one => one.with.scenario], ['load', one => levelOf(one.with)],
    ['generated tokens/s, on', one => rate(one.with)], ['off', one => rate(one.without)],
    ['on ÷ off', one => one.without.requests === 0
      ? '–'
      : (one.with.generatedTokensPerSecond / one.without.generatedTokensPerSecond).toFixed(2)],
    ['TTFT p50 ms, on', one => ttft(one.with)], ['off', one => ttft(one.without)]
  ])
}

const comparisonHead = ['load', 'generated tokens/s', 'requests/s', 'TTFT p50', 'ITL p99', 'latency p50']

/** The report as Markdown. @param comparison lines of an earlier report's ratios, if one was given */
function describeLoad (
  report: LoadReport, scenarios: readonly Scenario[], comparison: ReadonlyArray<readonly string[]>
): string {
  const { environment, objectives, maxTokens, finished, measurements, engineTurns, crossCheck } = report
  const compared = comparison.length === 0
    ? ''
    : '## Beside an earlier report\n\nNew over old; above 1 is more.\n\n' +
      `${markdownTable(comparisonHead, comparison)}\n\n`
  return `${headOf('Load test', environment, finished ? null : '')} Load generator and server share these cores.

**Capacity**: ${capacityOf(report) ?? 'not measured: it needs the scenarios streaming and best_of_n.'}

Answers have exactly ${maxTokens} tokens. TTFT, TPOT, ITL as vLLM's benchmark defines them: until the first text, (latency − TTFT) / (output tokens − 1), between two pieces of one answer; p50 / p90 / p99. Goodput: requests/s with TTFT ≤ ${objectives.ttft} ms and TPOT ≤ ${objectives.tpot} ms
where they stream, else latency ≤ ${objectives.latency} ms. Rewards/s are what the strategies score, by their parameters. Prefix hits: share of prompt tokens whose KV was there. Generator CPU: cores that the load generator itself took.

${scenarios.map(({ name, what }) => `- \`${name}\`: ${what}`).join('\n')}

## Closed loop: so many requests in flight

![tokens](plots/throughput.svg)

![TTFT](plots/ttft.svg)

![gaps](plots/gaps.svg)

![latency](plots/latency.svg)

${tableOf(measurements.filter(one => one.loop === 'closed' && one.configuration === defaultConfiguration), columns)}

## Open loop: Poisson arrivals

${tableOf(measurements.filter(one => one.loop === 'open'), columns)}

## What is switched off

${ablationsTable(measurements)}

${engineSection(engineTurns)}${crossCheckSection(crossCheck)}${compared}All figures: report.json.
`
}

/** Ratios of this report's figures to an earlier one's, for the loads that both have. */
export function compare (now: readonly Measurement[], then: readonly Measurement[]): string[][] {
  const name = ({ configuration, scenario, transport, loop, level }: Measurement): string =>
    [configuration, scenario, transport, loop, loop === 'closed' ? level : ''].join(' ')
  const ratio = (a: number | undefined, b: number | undefined): string =>
    a === undefined || b === undefined || b === 0 ? '–' : (a / b).toFixed(2)
  return now.flatMap(one => {
    const old = then.find(other => name(other) === name(one))
    return old
      ? [[`${columns[0]![1](one, 0)} by ${one.transport}, ${levelOf(one)}`,
          ratio(one.generatedTokensPerSecond, old.generatedTokensPerSecond),
          ratio(one.requestsPerSecond, old.requestsPerSecond), ratio(one.ttftMs?.p50, old.ttftMs?.p50),
          ratio(one.itlMs?.p99, old.itlMs?.p99), ratio(one.latencyMs?.p50, old.latencyMs?.p50)]]
      : []
  })
}

/** The report in short, as lines for the terminal. */
export function summaryOf (report: LoadReport, comparison: ReadonlyArray<readonly string[]>): string[] {
  const { measurements, engineTurns, crossCheck } = report
  const table =
    new Table({ head: columns.map(([name]) => name), style: { head: [], border: [], compact: true } })
  table.push(...measurements.map(one => columns.map(([, cell], index) => cell(one, index))))
  return [
    table.toString(),
    ...(comparison.length > 0 ? [comparisonHead, ...comparison] : []).map(line => line.join('\t')),
    ...engineRows(engineTurns).map(([streams, engine, server, ratio, generator, beside]) =>
      `${streams!}: engine ${engine!} tokens/s, server ${server!}, ratio ${ratio!}; generator CPU ${generator!}; ` +
      `ratio beside the generator ${beside!}`),
    ...crossCheck
      ? [`guidellm ÷ this load generator, output tokens/s of ${crossCheck.level} streams: ` +
        agreement(crossCheck).toFixed(2)]
      : [],
    capacityOf(report) ?? ''
  ]
}

/** Writes report.json, REPORT.md and plots/. @returns the report's path */
export const writeLoad = (
  folder: string, report: LoadReport, scenarios: readonly Scenario[], comparison: ReadonlyArray<readonly string[]>
): Promise<string> =>
  writeReport(folder, describeLoad(report, scenarios, comparison), report, plotsOf(report, scenarios))
