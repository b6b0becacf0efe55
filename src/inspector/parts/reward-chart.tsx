/** Rewards of all candidates by tokens. A picture of what the lanes say in words: screen readers pass it over. */
import { useMemo } from 'preact/hooks'
import type { Run } from '../../journal/fold.js'
import { ticks } from '../logic/geometry.js'
import { decimal } from '../logic/formats.js'
import { chosenOf, inOrder, scoresAlong } from '../logic/lineages.js'
import { useWidth } from './width.js'

const height = 132
const margin = { left: 40, right: 30, top: 8, bottom: 20 } as const

interface ChartProps { readonly run: Run, readonly selected: number | null, readonly onSelect: (index: number) => void }

/** A candidate's rewards, at their places on the chart. */
interface Line { readonly index: number, readonly points: ReadonlyArray<readonly [x: number, y: number]> }

/** Lines as one path, each ending in a dot: one element, however many there are. */
const pathOf = (lines: readonly Line[]): string => lines.map(({ points }) =>
  `M${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join('L')}`).join('')
const dotsOf = (lines: readonly Line[]): string => lines.map(({ points }) =>
  `M${points.at(-1)!.map(one => one.toFixed(1)).join(',')}h0`).join('')

/** The line that comes nearest to a place, by its scores. */
function nearest (lines: readonly Line[], x: number, y: number): number {
  const distance = ({ points }: Line): number => Math.min(...points.map(([ax, ay]) => Math.hypot(ax - x, ay - y)))
  return lines.reduce((best, one) => distance(one) < distance(best) ? one : best).index
}

function Picture ({ run, selected, width, onSelect }: ChartProps & { readonly width: number }) {
  const scored = inOrder(run).map(lineage => ({ index: lineage.index, scores: scoresAlong(run, lineage) }))
    .filter(({ scores }) => scores.length > 0)
  const all = scored.flatMap(({ scores }) => scores)
  if (all.length === 0) return null
  const end = all.reduce((most, [tokens]) => Math.max(most, tokens), 1)
  const [low, high] =
    all.reduce(([least, most], [, reward]) => [Math.min(least, reward), Math.max(most, reward)], [0, 0])
  const pad = Math.max(0.1, (high - low) * 0.06)
  const x = (tokens: number): number => margin.left + (width - margin.left - margin.right) * tokens / end
  const y = (reward: number): number =>
    margin.top + (height - margin.top - margin.bottom) * (high + pad - reward) / (high - low + 2 * pad)
  const chosen = chosenOf(run)
  const kind = (index: number): string =>
    `${chosen.includes(index) ? ' chosen' : ''}${index === selected ? ' selected' : ''}`
  const lines = scored.map(({ index, scores }): Line =>
    ({ index, points: scores.map(([tokens, reward]) => [x(tokens), y(reward)]) }))
  const named = lines.filter(({ index }) => kind(index) !== '')
  const others = lines.filter(({ index }) => kind(index) === '')
  const threshold = run.steps.filter(({ bound }) => bound !== undefined && run.start?.strategy === 'segment_rejection')
  return (
    <svg
      width={width} height={height}
      onClick={event => {
        const { left, top } = event.currentTarget.getBoundingClientRect()
        onSelect(nearest(lines, event.clientX - left, event.clientY - top))
      }}
    >
      {ticks(low - pad, high + pad, 4).map(tick => (
        <g key={tick}>
          <line
            class={tick === 0 ? 'axis' : 'grid'} x1={margin.left}
            x2={width - margin.right}
            y1={y(tick)} y2={y(tick)}
          />
          <text x={margin.left - 6} y={y(tick) + 4} text-anchor='end'>
            {decimal(tick, Number.isInteger(tick) ? 0 : 1)}
          </text>
        </g>
      ))}
      {ticks(0, end, Math.max(2, Math.floor(width / 120))).map(tick => (
        <text
          key={tick} x={x(tick)}
          y={height - 4}
          text-anchor='middle'
        >{tick}{tick === 0 ? ' tokens' : ''}
        </text>
      ))}
      {threshold.length > 1 && (
        <polyline
          class='threshold'
          points={threshold.map(({ bound }, at) => `${x(end * at / (threshold.length - 1))},${y(bound!)}`).join(' ')}
        />
      )}
      <path class='line' d={pathOf(others)} />
      <path class='ends' d={dotsOf(others)} />
      {named.map(one => (
        <g key={one.index} class={kind(one.index)}>
          <path class='line' d={pathOf([one])} />
          <path class='ends' d={dotsOf([one])} />
          <text class='name' x={one.points.at(-1)![0] + 7} y={one.points.at(-1)![1] + 4}>{one.index}</text>
        </g>
      ))}
    </svg>
  )
}

/** Drawn anew when there are more scores, not with every token. */
export function RewardChart ({ run, selected, onSelect }: ChartProps) {
  const [ref, width] = useWidth<HTMLDivElement>(600)
  const scores = [...run.candidates.values()].reduce((sum, one) => sum + one.scores.length, 0)
  const picture = useMemo(() => <Picture run={run} selected={selected} width={width} onSelect={onSelect} />,
    [run, scores, run.select, run.steps.length, selected, width])
  return <div ref={ref} class='chart' aria-hidden='true'>{picture}</div>
}
