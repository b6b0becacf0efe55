/**
 * A search as a tree: tokens to the right, a bar a candidate, coloured by its rewards, elbows where it was forked. The
 * rows beside it say the same in words; screen readers have those.
 */
import { useState } from 'preact/hooks'
import type { Lineage, Run } from '../../journal/fold.js'
import { placed, rewardScale, shadeClass, ticks, type Placed } from '../logic/geometry.js'
import { signed } from '../logic/formats.js'
import { fateOf } from '../logic/lineages.js'
import { useWidth } from './width.js'

const margin = { left: 40, right: 92, top: 24, bottom: 8 } as const

interface TreeProps {
  readonly run: Run
  readonly selected: number | null
  readonly hidesDropped: boolean
  readonly onSelect: (index: number) => void
}

/** Stretches of a bar between two scores, each with the reward that it ended at. */
function stretches ({ at, tokens, scores }: Lineage): Array<{ from: number, to: number, reward: number | null }> {
  const ends = scores.filter(([place]) => place > at)
  const parts = ends.map(([place, reward], index) =>
    ({ from: index === 0 ? at : ends[index - 1]![0], to: place, reward }))
  const last = parts.at(-1)?.to ?? at
  return tokens > last ? [...parts, { from: last, to: tokens, reward: null }] : parts
}

interface BarProps {
  readonly place: Placed
  readonly run: Run
  readonly scale: number
  readonly x: (tokens: number) => number
  readonly y: (row: number) => number
  readonly isSelected: boolean
  readonly onSelect: (index: number) => void
}

const endGlyphs = { chosen: '★', dropped: '✕', ended: '', growing: '' } as const

function Bar ({ place: { lineage, row, parentRow }, run, scale, x, y, isSelected, onSelect }: BarProps) {
  const fate = fateOf(run, lineage)
  const thick = lineage.weight === null ? (fate === 'chosen' ? 7 : 4) : 2 + 10 * lineage.weight
  const label = `${endGlyphs[fate]} ${lineage.index} ${lineage.reward === null ? '' : signed(lineage.reward)}`
  return (
    <g class={`bar ${fate}${isSelected ? ' selected' : ''}`} onClick={() => { onSelect(lineage.index) }}>
      <rect
        class='hit' x={x(lineage.at)}
        y={y(row) - 11}
        width={Math.max(x(lineage.tokens) - x(lineage.at), 4) + 80} height={22}
      />
      {parentRow !== null &&
        <path class='elbow' d={`M${x(lineage.at)},${y(parentRow)}V${y(row)}`} />}
      {isSelected &&
        <rect
          class='halo' rx={4}
          x={x(lineage.at) - 3} y={y(row) - thick / 2 - 3}
          width={x(lineage.tokens) - x(lineage.at) + 6} height={thick + 6}
        />}
      {stretches(lineage).map(({ from, to, reward }) => (
        <line
          key={to} class={shadeClass(reward, scale)}
          stroke-width={thick}
          x1={x(from)} x2={x(to)}
          y1={y(row)}
          y2={y(row)}
        />
      ))}
      <circle
        class='node' cx={x(lineage.tokens)}
        cy={y(row)}
        r={2.5}
      />
      <text x={x(lineage.tokens) + 7} y={y(row) + 4}>{label}</text>
    </g>
  )
}

/** Effective sample size after each step, with the line below which particles are resampled. */
function EssRow ({ run, width }: { readonly run: Run, readonly width: number }) {
  const steps = run.steps.filter(({ ess }) => ess !== null)
  if (steps.length === 0) return null
  const most = Math.max(...steps.map(({ ess }) => ess!), ...steps.map(({ bound }) => bound ?? 0), 1)
  const [inner, height] = [width - margin.left - margin.right, 36]
  const bound = steps.find(one => one.bound !== undefined)?.bound
  return (
    <svg class='ess' width={width} height={height + 14}>
      {steps.map(({ n, ess, resampled }, at) => (
        <rect
          key={n} class={resampled ? 'resampled' : ''}
          x={margin.left + inner * at / steps.length}
          width={Math.max(1, inner / steps.length - 2)} y={height - height * ess! / most}
          height={height * ess! / most}
        />
      ))}
      {bound !== undefined && <line
        x1={margin.left} x2={width - margin.right}
        y1={height - height * bound / most}
        y2={height - height * bound / most}
                              />}
      <text x={margin.left} y={height + 12}>effective sample size by step; resampled below the line</text>
    </svg>
  )
}

export function Tree ({ run, selected, hidesDropped, onSelect }: TreeProps) {
  const [ref, width] = useWidth<HTMLDivElement>(640)
  const [zoom, setZoom] = useState(1)
  const places = placed(run, lineage => !hidesDropped || lineage.droppedAt === null || lineage.index === selected)
    .map((place, row) => ({ ...place, row }))
  const rowOf = new Map(places.map(({ lineage, row }) => [lineage.index, row]))
  const drawn = places.map(place => ({
    ...place, parentRow: place.lineage.parent === null ? null : rowOf.get(place.lineage.parent) ?? null
  }))
  const end = Math.max(1, ...[...run.candidates.values()].map(({ tokens }) => tokens))
  const rowHeight = places.length > 40 ? 16 : 24
  const wide = Math.round(width * zoom)
  const height = margin.top + places.length * rowHeight + margin.bottom
  const x = (tokens: number): number => margin.left + (wide - margin.left - margin.right) * tokens / end
  const y = (row: number): number => margin.top + (row + 0.5) * rowHeight
  const scale = rewardScale(run)
  const change = (factor: number): void => { setZoom(Math.max(1, Math.min(8, zoom * factor))) }
  return (
    <div class='tree'>
      <div class='zoom'>
        <button
          type='button' class='quiet'
          aria-label='Zoom out'
          disabled={zoom === 1} onClick={() => { change(0.5) }}
        >−
        </button>
        <button
          type='button' class='quiet'
          aria-label='Zoom in'
          disabled={zoom === 8} onClick={() => { change(2) }}
        >+
        </button>
      </div>
      <div
        ref={ref} class='canvas'
        aria-hidden='true'
        onWheel={event => {
          if (!event.ctrlKey) return
          event.preventDefault()
          change(event.deltaY < 0 ? 1.25 : 0.8)
        }}
      >
        <svg width={wide} height={height}>
          {ticks(0, end, Math.max(2, Math.floor(wide / 90))).map(tick => (
            <g key={tick}>
              <line
                class='grid' x1={x(tick)}
                x2={x(tick)}
                y1={margin.top - 6} y2={height}
              />
              <text x={x(tick)} y={12} text-anchor='middle'>{tick}{tick === 0 ? ' tokens' : ''}</text>
            </g>
          ))}
          {drawn.map(place => (
            <Bar
              key={place.lineage.index} place={place}
              run={run} scale={scale}
              x={x} y={y}
              isSelected={place.lineage.index === selected} onSelect={onSelect}
            />
          ))}
        </svg>
        <EssRow run={run} width={width} />
      </div>
      <p class='legend' aria-hidden='true'>
        reward {signed(-scale)}
        {[-3, -2, -1, 0, 1, 2, 3].map(step => <i key={step} class={`swatch s${step}`} />)}
        {signed(scale)}
        {run.start?.strategy === 'particle_filter' && ' · width = weight'}
      </p>
    </div>
  )
}
