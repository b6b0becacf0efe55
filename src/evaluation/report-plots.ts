/**
 * The plots of an evaluation. Each has the prompted baseline: as a point, or as a level where there is no axis for it.
 */
import type { Estimate } from '../reporting/estimate.js'
import type { Plot, PlotPoint, PlotSeries } from '../reporting/plot.js'
import type { Analysis, ConfigurationFigures } from './analysis.js'
import type { Evaluated, Evaluation } from './evaluate.js'
import type { ProxyCurve } from './over-optimisation-analysis.js'
import { curves, plainLabel } from './configurations.js'

const point = (
  x: number, { value, low, high }: Estimate
): PlotPoint => ({ x, y: value, ...Number.isFinite(low) ? { low, high } : {} })
const line = (name: string, points: PlotPoint[]): PlotSeries => ({ name, kind: 'line', points })
const gainLabel = 'gain over plain, standard deviations'
const byN = { label: 'n of best-of-n', scale: 'log' } as const
const timeAxis = { label: 'time of an answer, in plain answers', scale: 'log' } as const

const isBestOfN = ({ label }: ConfigurationFigures): boolean => label === plainLabel || label.startsWith('best_of_n')
const isGuidance = ({ curve, label }: ConfigurationFigures): boolean =>
  curve !== null || label.startsWith(curves.qHead) || label === 'prompted'
const timeOf = ({ time }: ConfigurationFigures): number | null => time?.value ?? null

/** Configurations as series: strengths of one kind of guidance are joined, all others are points. */
function seriesOf (
  configurations: readonly ConfigurationFigures[], pick: (configuration: ConfigurationFigures) => number | null
): PlotSeries[] {
  const groups = new Map<string, PlotPoint[]>()
  for (const configuration of configurations) {
    const x = pick(configuration)
    const name = configuration.curve ? `guidance: ${configuration.curve.name}` : configuration.label
    if (x !== null) groups.set(name, [...groups.get(name) ?? [], point(x, configuration.judge)])
  }
  return [...groups].map(([name, points]) => ({ name, kind: points.length > 1 ? 'line' : 'points', points }))
}

/** Configurations beside best-of-n over what they cost. */
function costPlots ({ bestOfN, ways: configurations }: Analysis): Record<string, Plot> {
  // The pool's curve says all of best-of-n that single points would.
  const drawn = configurations.filter(configuration => !isBestOfN(configuration))
  const pooled = (pick: (one: typeof bestOfN[number]) => number): PlotSeries =>
    line('best-of-n', bestOfN.map(one => point(pick(one), one.judge)))
  const timed = line('best-of-n', configurations.filter(isBestOfN).flatMap(({ time, judge }) =>
    time ? [point(time.value, judge)] : []))
  const against = (
    title: string, x: Plot['x'], best: PlotSeries, shown: readonly ConfigurationFigures[],
    pick: (configuration: ConfigurationFigures) => number | null
  ): Plot => ({ title, x, y: { label: `judge’s ${gainLabel}` }, series: [best, ...seriesOf(shown, pick)] })
  const guided = drawn.filter(isGuidance)
  return {
    'guidance-time': against('Token guidance against best-of-n at equal time', timeAxis, timed, guided, timeOf),
    'guidance-kl': against('Token guidance against best-of-n at equal KL',
      { label: 'KL to the policy, nats (best-of-n: its bound)' }, pooled(({ klBound }) => klBound), guided,
      ({ kl }) => kl),
    tokens: against('Judge’s gain against tokens drawn', { label: 'tokens drawn, in plain answers', scale: 'log' },
      pooled(({ n }) => n), drawn, ({ tokens }) => tokens),
    time: against('Judge’s gain against time', timeAxis, timed, drawn, timeOf)
  }
}

const overOptimisationPlot = (
  group: string, proxies: readonly ProxyCurve[], judge: string, level: readonly PlotSeries[]
): Plot => ({
  title: `Over-optimisation, ${group}: judge “${judge}”`,
  x: byN,
  y: { label: gainLabel },
  series: [...proxies.filter(one => one.group === group).map(({ label, curve }) =>
    line(label, curve.map(one => point(one.n, one.judge)))), ...level]
})

/** By file name. */
export function plotsOf ({ analysis, panel }: Evaluation, { reward, weight, judge }: Evaluated): Record<string, Plot> {
  const { bestOfN, ways: configurations, controls } = analysis
  const [first, last] = [bestOfN[0]!.n, bestOfN.at(-1)!.n]
  const level = (name: string): PlotSeries[] => configurations.filter(({ label }) => label === 'prompted')
    .map(configuration => line(name, [first, last].map(x => ({ x, y: configuration.judge.value }))))
  const judged = bestOfN.map(one => point(one.n, one.judge))
  const groups = [...new Set(panel.map(({ group }) => group))]
  return {
    ...costPlots(analysis),
    'best-of-n': {
      title: `Best-of-n by ${reward} (weight ${weight})`,
      x: byN,
      y: { label: gainLabel },
      series: [line(`reward ${reward}`, bestOfN.map(one => point(one.n, one.proxy))), line(`judge ${judge}`, judged),
        ...level('judge, prompted')]
    },
    controls: {
      title: 'What choosing by something else is worth',
      x: byN,
      y: { label: `judge’s ${gainLabel}` },
      series: [line(`reward ${reward}`, judged), ...controls.map(({ label, judge: gains }) =>
        line(label, gains.map(({ n, gain }) => point(n, gain)))), ...level('prompted')]
    },
    ...Object.fromEntries(groups.map((group, index) =>
      [`panel-${index + 1}`, overOptimisationPlot(group, panel, judge, level('prompted'))]))
  }
}
