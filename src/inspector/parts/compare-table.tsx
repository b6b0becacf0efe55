/** All answers on one scale: re-read by the same reward, with what they took; differences against the first column. */
import { count, decimal, seconds, signed } from '../logic/formats.js'
import { mean, meanInterval } from '../logic/intervals.js'
import type { Asked } from '../logic/presets.js'
import { judges, outcomes, timedTogether, ways, type Outcome } from '../state/compare.js'

interface Column { readonly letter: string, readonly title: string, readonly all: readonly Outcome[] }

const kinds: Readonly<Record<string, string>> = { exact_sampled: 'exact', upper_bound: '≤', bound_estimate: '≈ ≤' }

function Cell ({ values, base, format }: {
  readonly values: readonly number[]
  readonly base: readonly number[] | null
  readonly format: (value: number) => string
}) {
  const interval = meanInterval(values)
  const difference = base ? mean(values) - mean(base) : null
  return (
    <td class='number'>
      {format(mean(values))}{difference !== null && ` (${signed(difference)})`}
      {interval && <span class='small'> {decimal(interval[0])} to {decimal(interval[1])}</span>}
    </td>
  )
}

/** Rewards as dots, one a seed, with mean and interval. */
function Dots ({ columns, judge }: { readonly columns: readonly Column[], readonly judge: number }) {
  const values = columns.map(({ all }) => all.map(({ scores }) => scores[judge]!))
  const [low, high] = [Math.min(0, ...values.flat()), Math.max(0, ...values.flat())]
  const x = (value: number): number => 8 + 284 * (value - low) / (high - low || 1)
  return (
    <svg class='dots' viewBox={`0 0 300 ${columns.length * 22}`} aria-hidden='true'>
      <line
        class='axis' x1={x(0)}
        x2={x(0)}
        y1={0} y2={columns.length * 22}
      />
      {columns.map(({ letter }, row) => {
        const y = row * 22 + 11
        const interval = meanInterval(values[row]!)
        return (
          <g key={letter}>
            {interval && <line
              class='interval' x1={x(interval[0])}
              x2={x(interval[1])}
              y1={y} y2={y}
                         />}
            {values[row]!.map((value, at) => <circle
              key={at} cx={x(value)}
              cy={y}
              r={3.5}
                                             />)}
            <path class='mean' d={`M${x(mean(values[row]!))},${y - 8}V${y + 8}`} />
          </g>
        )
      })}
    </svg>
  )
}

export function CompareTable ({ letters, title }: {
  readonly letters: readonly string[], readonly title: (way: Asked) => string
}) {
  const columns = ways.value.map((way, at): Column =>
    ({ letter: letters[at]!, title: title(way), all: outcomes.value.get(way.id) ?? [] }))
    .filter(({ all }) => all.length > 0)
  const [base] = columns
  const n = Math.min(...columns.map(({ all }) => all.length))
  return (
    <section class='card' aria-label='Same scale'>
      <h2>Same scale <span class='muted'>every answer re-read whole by {judges.value.join(' and ')}; n = {n}</span></h2>
      <div
        class='scroll' tabIndex={0}
        role='region'
        aria-label='Figures'
      >
        <table>
          <thead>
            <tr>
              <th scope='col' />
              {judges.value.map(name => <th scope='col' key={name}>{name}</th>)}
              <th scope='col'>tokens generated</th>
              <th scope='col'>time</th>
              <th scope='col'>KL, nats</th>
              <th scope='col'>length</th>
              <th scope='col'>distinct-2</th>
            </tr>
          </thead>
          <tbody>
            {columns.map(({ letter, title, all }, at) => {
              const figures = (read: (one: Outcome) => number): number[] => all.map(read)
              const ratio = mean(figures(one => one.generated)) / mean(base!.all.map(one => one.generated))
              const kl = all.flatMap(one => one.kl === null ? [] : [one.kl])
              const distinct = all.flatMap(one => one.distinct === null ? [] : [one.distinct])
              return (
                <tr key={letter}>
                  <th scope='row'>{letter} {title}</th>
                  {judges.value.map((name, judge) => (
                    <Cell
                      key={name} values={figures(one => one.scores[judge] ?? NaN)}
                      format={signed}
                      base={at === 0 ? null : base!.all.map(one => one.scores[judge] ?? NaN)}
                    />
                  ))}
                  <td class='number'>
                    {count(mean(figures(one => one.generated)))} ({decimal(ratio, ratio < 9.95 ? 1 : 0)}×)
                  </td>
                  <td class={`number${timedTogether.value ? ' muted' : ''}`}>
                    {seconds(mean(figures(one => one.ms)))}
                  </td>
                  <td class='number'>{kl.length === 0 ? '–' : `${kinds[all[0]!.klKind ?? ''] ?? ''} ${decimal(mean(kl))}`}</td>
                  <td class='number'>{count(mean(figures(one => one.length)))} ch</td>
                  <td class='number'>{distinct.length === 0 ? '–' : decimal(mean(distinct))}</td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
      {timedTogether.value && <p class='small'>Times were measured together: they say nothing of each other.</p>}
      {n < 4 && <p class='small'>With fewer than 4 seeds no interval is given: the difference may be chance.</p>}
      {n >= 4 && judges.value.map((name, judge) => (
        <figure key={name}>
          <figcaption class='small'>{name}, a dot a seed; bar: mean; line: 95 %</figcaption>
          <Dots columns={columns} judge={judge} />
        </figure>
      ))}
    </section>
  )
}
