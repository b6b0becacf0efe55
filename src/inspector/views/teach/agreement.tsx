/** How often the reward told a vote before it was given: by version, as figures and as curves. */
import { percent } from '../../logic/formats.js'
import { wilson } from '../../logic/intervals.js'
import { agreementCurves, agreementsOf } from '../../logic/ratings.js'
import { currentSet } from '../../state/teach.js'

const [width, height] = [320, 64]
const [left, top, bottom] = [40, 6, height - 6]

/** A line a version, over the votes that it predicted. */
function Curves ({ curves }: { readonly curves: readonly number[][] }) {
  const most = Math.max(...curves.map(({ length }) => length))
  const x = (at: number): number => left + at / (most - 1) * (width - left - 2)
  const y = (share: number): number => bottom - share * (bottom - top)
  return (
    <svg
      class='curve' viewBox={`0 0 ${width} ${height}`}
      width={width} height={height}
      aria-hidden='true'
    >
      {[0, 0.5, 1].map(share => (
        <g key={share}>
          <text x={left - 4} y={y(share) + 3}>{percent(share)}</text>
          <line
            class='axis' x1={left}
            x2={width} y1={y(share)}
            y2={y(share)}
          />
        </g>
      ))}
      {curves.map((shares, version) => (
        <polyline
          key={version} class={version === curves.length - 1 ? '' : 'old'}
          points={shares.map((share, at) => `${x(at)},${y(share)}`).join(' ')}
        />
      ))}
    </svg>
  )
}

export function Agreement () {
  const { name, ...set } = currentSet.value
  const agreements = agreementsOf(set)
  if (agreements.length === 0) return null
  const curves = agreementCurves(set)
  return (
    <section class='card agreement' aria-label='Agreement'>
      {agreements.map(({ version, agreed, of }) => {
        const [low, high] = wilson(agreed, of)
        return (
          <p key={version}>
            “{name}” v{version} told {agreed} of {of} votes before you gave them{' '}
            <span class='muted'>({percent(agreed / of)}, 95 %: {percent(low)} to {percent(high)})</span>
          </p>
        )
      })}
      {curves.some(({ length }) => length > 2) && <Curves curves={curves} />}
    </section>
  )
}
