/** Runs: where was that one? What this browser has kept. */
import { useEffect, useState } from 'preact/hooks'
import { count, cut, oneLine, seconds } from '../logic/formats.js'
import { OpenFile } from '../parts/open-file.js'
import { RemoveButton } from '../parts/remove-button.js'
import { forgetRun, forgetRuns, keptRuns, loadRuns, type KeptRun } from '../state/kept-runs.js'
import { go } from '../state/router.js'
import { openRun } from '../state/run.js'
import { say } from '../state/status.js'

const matches = (run: KeptRun, filter: string): boolean =>
  `${run.prompt} ${run.strategy} ${run.rewards.join(' ')} ${run.model} ${run.state}`.toLowerCase().includes(filter.toLowerCase())

function RunRow ({ run }: { readonly run: KeptRun }) {
  const open = (): void => {
    openRun(run.entries)
    go('run')
  }
  return (
    <tr>
      <td class='number'>{new Date(run.created * 1000).toLocaleString()}</td>
      <td>{run.model}</td>
      <td>{run.strategy}</td>
      <td>{run.rewards.join(', ')}</td>
      <td>
        <button type='button' class='link' onClick={open}><bdi dir='auto'>{cut(oneLine(run.prompt), 60)}</bdi></button>
      </td>
      <td class='number'>{count(run.tokens)}</td>
      <td class='number'>{seconds(run.ms)}</td>
      <td>{run.state}</td>
      <td>
        <RemoveButton
          label={`Forget the run of “${cut(run.prompt, 30)}”`} onClick={() => { forgetRun(run.id).catch(reportError) }}
        />
      </td>
    </tr>
  )
}

const columns = ['time', 'model', 'strategy', 'reward', 'prompt', 'tokens', 'duration', 'state']

export function RunsView () {
  const [filter, setFilter] = useState('')
  const [problem, setProblem] = useState('')
  useEffect(() => { loadRuns().catch((error: unknown) => { setProblem(String(error)) }) }, [])
  const runs = keptRuns.value
  if (problem !== '') return <p class='banner bad' role='alert'>This browser keeps no runs ({problem}).</p>
  if (runs === null) return <p class='empty'>Reading what this browser has kept…</p>
  const shown = runs.filter(run => matches(run, filter))
  return (
    <section class='card step' aria-label='Runs'>
      <div class='bar-row'>
        <h2>This browser</h2>
        <span class='small'>the last hundred runs of this page, at most 50 MB; nothing is sent anywhere</span>
        <span class='grow' />
        <OpenFile label='Open a file' />
        <button
          type='button' class='danger'
          disabled={runs.length === 0} onClick={() => {
            if (confirm(`Forget ${runs.length} runs? They are deleted from this browser.`)) {
              forgetRuns().then(() => { say(`${runs.length} runs were forgotten.`, true) }, reportError)
            }
          }}
        >Forget all
        </button>
      </div>
      {runs.length === 0
        ? <p class='empty'>No run yet. Start one under Run, or open a file.</p>
        : (
          <>
            <input
              type='search' aria-label='Filter'
              placeholder='filter by prompt, strategy, reward…' value={filter}
              onInput={event => { setFilter(event.currentTarget.value) }}
            />
            <div
              class='scroll' tabIndex={0}
              role='region'
              aria-label='Kept runs'
            >
              <table>
                <thead>
                  <tr>
                    {columns.map(one => <th scope='col' key={one}>{one}</th>)}
                    <td />
                  </tr>
                </thead>
                <tbody>{shown.map(run => <RunRow key={run.id} run={run} />)}</tbody>
              </table>
            </div>
            {shown.length === 0 && <p class='empty'>No run matches.</p>}
          </>
          )}
    </section>
  )
}
