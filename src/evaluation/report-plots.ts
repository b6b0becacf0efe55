/**
 * The plots of an evaluation. Each has the prompted baseline: as a point, or as a level where there is no axis for it.
 */
import type { Plot, PlotPoint, PlotSeries } from '../reporting/plot.js'
import type { WayFigures } from './analysis.js'
import type { Evaluated, Evaluation } from './evaluate.js'
import type { Estimate } from './statistics.js'
import { curves } from './ways.js'

const point = (
  x: number, { value, low, high }: Estimate
): PlotPoint => ({ x, y: value, ...Number.isFinite(low) ? { low, high } : {} })
const gainLabel = 'gain over plain, standard deviations'

/** Ways as series: strengths of one kind of guidance are joined, all others are points. */
function seriesOf (ways: readonly WayFigures[], pick: (way: WayFigures) => number | null): PlotSeries[] {
  const groups = new Map<string, PlotPoint[]>()
  for (const way of ways) {
    const x = pick(way)
    const name = way.curve ? `guidance: ${way.curve.name}` : way.label
    if (x !== null) groups.set(name, [...groups.get(name) ?? [], point(x, way.judge)])
  }
  return [...groups].map(([name, points]) => ({ name, kind: points.length > 1 ? 'line' : 'points', points }))
}

/** By file name. */
export function plotsOf ({ analysis, panel }: Evaluation, { reward, weight, judge }: Evaluated): Record<string, Plot> {
  const { bestOfN, ways, controls } = analysis
  const prompted = ways.find(({ label }) => label === 'prompted')
  const sizes = bestOfN.map(({ n }) => n)
  const level: PlotSeries[] = prompted
    ? [
        {
          name: 'prompted', kind: 'line', points: [sizes[0]!, sizes.at(-1)!].map(x => ({ x, y: prompted.judge.value }))
        }
      ]
    : []
  // The pool's curve says all of best-of-n that single points would.
  const drawn = ways.filter(({ label }) => label !== 'plain' && !label.startsWith('best_of_n'))
  const pooled = (pick: (one: typeof bestOfN[number]) => number): PlotSeries => ({
    name: 'best-of-n', kind: 'line', points: bestOfN.map(one => point(pick(one), one.judge))
  })
  const timed = ways.flatMap(({ label, time, judge: judged }) =>
    time && (label === 'plain' || label.startsWith('best_of_n')) ? [point(time.value, judged)] : [])
  const timedBest: PlotSeries = { name: 'best-of-n', kind: 'line', points: timed }
  const byN = { label: 'n of best-of-n', scale: 'log' } as const
  const panelPlot = (group: string): Plot => ({
    title: `Over-optimisation, ${group}: judge “${judge}”`,
    x: byN,
    y: { label: gainLabel },
    series: [...panel.filter(one => one.group === group).map(({ label, curve }): PlotSeries => ({
      name: label, kind: 'line', points: curve.map(one => point(one.n, one.judge))
    })), ...level]
  })
  const against = (
    title: string, x: Plot['x'], shown: readonly WayFigures[], best: PlotSeries,
    pick: (way: WayFigures) => number | null
  ): Plot =>
    ({ title, x, y: { label: `judge’s ${gainLabel}` }, series: [best, ...seriesOf(shown, pick)] })
  const timeAxis = { label: 'time of an answer, in plain answers', scale: 'log' } as const
  const isGuidance = ({ curve, label }: WayFigures): boolean => curve !== null || label.startsWith(curves.qHead) ||
    label === 'prompted'
  return {
    'guidance-time': against('Token guidance against best-of-n at equal time', timeAxis, drawn.filter(isGuidance),
      timedBest, ({ time }) => time?.value ?? null),
    'best-of-n': {
      title: `Best-of-n by ${reward} (weight ${weight})`,
      x: byN,
      y: { label: gainLabel },
      series: [
        { name: `reward ${reward}`, kind: 'line', points: bestOfN.map(one => point(one.n, one.proxy)) },
        { name: `judge ${judge}`, kind: 'line', points: bestOfN.map(one => point(one.n, one.judge)) },
        ...level.map(one => ({ ...one, name: 'judge, prompted' }))
      ]
    },
    'guidance-kl': against('Token guidance against best-of-n at equal KL',
      { label: 'KL to the policy, nats (best-of-n: its bound)' }, drawn.filter(isGuidance),
      pooled(({ klBound }) => klBound), ({ kl }) => kl),
    tokens: against('Judge’s gain against tokens drawn', { label: 'tokens drawn, in plain answers', scale: 'log' },
      drawn, pooled(({ n }) => n), ({ tokens }) => tokens),
    time: against('Judge’s gain against time', timeAxis, drawn, timedBest, ({ time }) => time?.value ?? null),
    controls: {
      title: 'What choosing by something else is worth',
      x: byN,
      y: { label: `judge’s ${gainLabel}` },
      series: [{ name: `reward ${reward}`, kind: 'line', points: bestOfN.map(one => point(one.n, one.judge)) },
        ...controls.map(({ label, judge: gains }): PlotSeries => ({
          name: label, kind: 'line', points: gains.map(({ n, gain }) => point(n, gain))
        })), ...level]
    },
    ...Object.fromEntries([...new Set(panel.map(({ group }) => group))].map((group, index) =>
      [`panel-${index + 1}`, panelPlot(group)]))
  }
}
