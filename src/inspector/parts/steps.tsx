/** The steps of a search as a table; a row moves the run to that step. */
import type { Run } from '../../journal/fold.js'
import { decimal, seconds, signed } from '../logic/formats.js'

interface StepsProps { readonly run: Run, readonly onSeek: (step: number) => void }

export function Steps ({ run, onSeek }: StepsProps) {
  if (run.steps.length === 0) {
    return <p class='empty'>This strategy has no steps: its answers are drawn side by side and judged at their end.</p>
  }
  const hasBound = run.steps.some(({ bound }) => bound !== undefined)
  const hasEss = run.steps.some(({ ess }) => ess !== null)
  return (
    <div
      class='scroll' tabIndex={0}
      role='region'
      aria-label='Steps'
    >
      <table>
        <thead>
          <tr>
            <th scope='col'>step</th><th scope='col'>time</th><th scope='col'>kept</th><th scope='col'>dropped</th>
            <th scope='col'>best</th>
            {hasEss && <th scope='col'>ESS</th>}
            {hasBound && <th scope='col'>{hasEss ? 'resampled below' : 'threshold'}</th>}
          </tr>
        </thead>
        <tbody>
          {run.steps.map(({ n, t, kept, dropped, ess, bound, resampled }, at) => (
            <tr key={at}>
              <th scope='row'><button type='button' class='link' onClick={() => { onSeek(at) }}>{n}</button></th>
              <td class='number'>{seconds(t)}</td>
              <td>{kept.map(([index]) => index).join(', ')}</td>
              <td>{dropped.map(([index]) => index).join(', ') || '–'}</td>
              <td class='number'>{signed(Math.max(...kept.map(([, reward]) => reward ?? -Infinity), -Infinity))}</td>
              {hasEss && <td class='number'>{decimal(ess, 1)}{resampled ? ' ↻' : ''}</td>}
              {hasBound && <td class='number'>{decimal(bound, 2)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
