/** Runs: where was that one? What this browser has kept, and what the server has, of other programs too. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { count, cut, oneLine, seconds } from '../logic/formats.js'
import { OpenFile } from '../parts/open-file.js'
import { Failure } from '../parts/failure.js'
import { RemoveButton } from '../parts/remove-button.js'
import { forgetRun, forgetRuns, keptRuns, loadRuns, type KeptRun } from '../state/kept-runs.js'
import { onKeys } from '../state/keyboard.js'
import { go } from '../state/router.js'
import { followRun, openRun } from '../state/run.js'
import { ApiFailure, call } from '../server/http.js'
import { isReady } from '../server/link.js'
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
      <td class='number time'>{new Date(run.created * 1000).toLocaleString()}</td>
      <td class='minor'>{run.model}</td>
      <td class='minor'>{run.strategy}</td>
      <td class='minor'>{run.rewards.join(', ')}</td>
      <td>
        <button type='button' class='link' onClick={open}><bdi dir='auto'>{cut(oneLine(run.prompt), 60)}</bdi></button>
      </td>
      <td class='number minor'>{count(run.tokens)}</td>
      <td class='number minor'>{seconds(run.ms)}</td>
      <td>{run.state}</td>
      <td>
        <RemoveButton
          label={`Forget the run of “${cut(run.prompt, 30)}”`} onClick={() => { forgetRun(run.id).catch(reportError) }}
        />
      </td>
    </tr>
  )
}

/** A run as `GET /v1/runs` lists it. */
interface ServerRun {
  readonly id: string
  readonly created: number
  readonly state: string
  readonly caller: string
  readonly model: string
  readonly strategy: string | null
  readonly rewards: readonly string[]
  readonly tokens: number
  readonly milliseconds: number
}

const isLive = ({ state }: ServerRun): boolean => state === 'waiting' || state === 'running'

/** How often the list is asked for, ms. */
const listEveryMs = 3000

function ServerRuns () {
  const [runs, setRuns] = useState<readonly ServerRun[] | null>(null)
  const [failure, setFailure] = useState<ApiFailure | null>(null)
  useEffect(() => {
    const load = async (): Promise<void> => {
      if (document.hidden || !isReady.value) return
      try {
        setRuns((await call<{ data: ServerRun[] }>('/v1/runs')).data)
        setFailure(null)
      } catch (error) {
        if (!(error instanceof ApiFailure)) throw error
        setFailure(error)
      }
    }
    load().catch(reportError)
    const timer = setInterval(() => { load().catch(reportError) }, listEveryMs)
    return () => { clearInterval(timer) }
  }, [isReady.value])
  const open = (id: string): void => {
    followRun(id).catch(reportError)
    go('run')
  }
  const forget = (id: string): void => {
    call(`/v1/runs/${encodeURIComponent(id)}`, { method: 'DELETE' }).then(
      () => { setRuns(runs?.filter(run => run.id !== id) ?? null) },
      (error: unknown) => {
        if (error instanceof ApiFailure) setFailure(error)
        else reportError(error)
      })
  }
  return (
    <section class='card step' aria-label='Runs of this server'>
      <h2>This server</h2>
      {failure && <Failure failure={failure} />}
      {runs?.length === 0 && (
        <p class='empty'>
          There are none. Start the server with <code>--kept-runs 20</code> to watch requests of other programs here.
        </p>
      )}
      {runs && runs.length > 0 && (
        <div class='scroll' tabIndex={0} role='region' aria-label='Runs that the server keeps'>
          <table>
            <thead>
              <Columns names={serverColumns} />
            </thead>
            <tbody>
              {runs.map(run => (
                <tr key={run.id}>
                  <td class='number time'>{new Date(run.created * 1000).toLocaleString()}</td>
                  <td>{run.caller}</td>
                  <td class='minor'>{run.model}</td>
                  <td class='minor'>{run.strategy ?? '–'}</td>
                  <td class='minor'>{run.rewards.join(', ')}</td>
                  <td class='number minor'>{count(run.tokens)}</td>
                  <td class='number minor'>{seconds(run.milliseconds)}</td>
                  <td>{isLive(run) ? `◐ ${run.state}` : run.state}</td>
                  <td>
                    <button
                      type='button' class='small' aria-label={`${isLive(run) ? 'Watch' : 'Open'} ${run.id}`}
                      onClick={() => { open(run.id) }}
                    >{isLive(run) ? 'watch' : 'open'}
                    </button>
                    <RemoveButton label={`Delete ${run.id} from the server`} onClick={() => { forget(run.id) }} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

const serverColumns = ['time', 'from', 'model', 'strategy', 'reward', 'tokens', 'duration', 'state']
const columns = ['time', 'model', 'strategy', 'reward', 'prompt', 'tokens', 'duration', 'state']
/** Those that small screens have no room for. */
const minor = ['model', 'strategy', 'reward', 'tokens', 'duration']

const Columns = ({ names }: { readonly names: readonly string[] }) => (
  <tr>
    {names.map(name => <th scope='col' key={name} class={minor.includes(name) ? 'minor' : ''}>{name}</th>)}
    <td />
  </tr>
)

function BrowserRuns () {
  const [filter, setFilter] = useState('')
  const [problem, setProblem] = useState('')
  const search = useRef<HTMLInputElement>(null)
  useEffect(() => onKeys(key => {
    if (key !== '/' || !search.current) return false
    search.current.focus()
    return true
  }), [])
  useEffect(() => { loadRuns().catch((error: unknown) => { setProblem(String(error)) }) }, [])
  const runs = keptRuns.value
  if (problem !== '') return <p class='banner bad' role='alert'>This browser keeps no runs ({problem}).</p>
  if (runs === null) return <p class='empty'>Reading what this browser has kept…</p>
  const shown = runs.filter(run => matches(run, filter))
  return (
    <section class='card step' aria-label='Runs of this browser'>
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
              ref={search} type='search' aria-label='Filter'
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
                  <Columns names={columns} />
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

export function RunsView () {
  return (
    <div class='compare'>
      <BrowserRuns />
      <ServerRuns />
    </div>
  )
}
