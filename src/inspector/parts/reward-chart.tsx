/** Rewards of all candidates by tokens. A picture of what the lanes say in words: screen readers pass it over. */
import type { Run } from '../../journal/fold.js'
import { ticks } from '../logic/geometry.js'
import { decimal } from '../logic/formats.js'
import { chosenOf, inOrder, scoresAlong } from '../logic/lineages.js'
import { useWidth } from './width.js'

const height = 132
const margin = { left: 40, right: 30, top: 8, bottom: 20 } as const
/** Lines drawn at most; the chosen and the selected one are always among them. */
const mostLines = 128

interface ChartProps { readonly run: Run, readonly selected: number | null, readonly onSelect: (index: number) => void }

export function RewardChart ({ run, selected, onSelect }: ChartProps) {
  const [ref, width] = useWidth<HTMLDivElement>(600)
  const lines = inOrder(run).map(lineage => ({ lineage, scores: scoresAlong(run, lineage) }))
    .filter(({ scores }) => scores.length > 0)
  const all = lines.flatMap(({ scores }) => scores)
  if (all.length === 0) return <div ref={ref} />
  const end = Math.max(...all.map(([tokens]) => tokens), 1)
  const values = all.map(([, reward]) => reward)
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)]
  const pad = Math.max(0.1, (high - low) * 0.06)
  const x = (tokens: number): number => margin.left + (width - margin.left - margin.right) * tokens / end
  const y = (reward: number): number =>
    margin.top + (height - margin.top - margin.bottom) * (high + pad - reward) / (high - low + 2 * pad)
  const chosen = chosenOf(run)
  const kind = (index: number): string =>
    `${chosen.includes(index) ? ' chosen' : ''}${index === selected ? ' selected' : ''}`
  const threshold = run.steps.filter(({ bound }) => bound !== undefined && run.start?.strategy === 'segment_rejection')
  return (
    <div ref={ref} class='chart' aria-hidden='true'>
      <svg width={width} height={height}>
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
        {lines.slice(0, mostLines).map(({ lineage: { index }, scores }) => (
          <g key={index} class={`line${kind(index)}`} onClick={() => { onSelect(index) }}>
            {scores.length > 1 && <polyline points={scores.map(([tokens, reward]) => `${x(tokens)},${y(reward)}`).join(' ')} />}
            <circle cx={x(scores.at(-1)![0])} cy={y(scores.at(-1)![1])} r={kind(index) === '' ? 2.5 : 4} />
          </g>
        ))}
        {lines.filter(({ lineage }) => kind(lineage.index) !== '').map(({ lineage: { index }, scores }) => (
          <text
            key={index} class='name'
            x={x(scores.at(-1)![0]) + 7}
            y={y(scores.at(-1)![1]) + 4}
          >{index}
          </text>
        ))}
      </svg>
    </div>
  )
}
