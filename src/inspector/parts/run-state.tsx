/** What a run is doing, or why there is none, in one line. */
import { useEffect, useState } from 'preact/hooks'
import type { Run } from '../../journal/fold.js'
import { plural, seconds } from '../logic/formats.js'
import { chosenOf, tokensDrawn } from '../logic/lineages.js'
import { doing, recentRate } from '../logic/live.js'
import { draft } from '../state/run.js'
import type { Phase, Session } from '../state/session.js'
import { link } from '../server/link.js'
import { OpenFile, openExample } from './open-file.js'
import { say } from '../state/status.js'

/** How often waiting times and rates are told anew, ms. */
const tellEveryMs = 500

/** Has a component drawn anew every half second while something is on. */
function useClock (isOn: boolean): void {
  const [, tick] = useState(0)
  useEffect(() => {
    if (!isOn) return
    const timer = setInterval(() => { tick(n => n + 1) }, tellEveryMs)
    return () => { clearInterval(timer) }
  }, [isOn])
}

function ended (run: Run, phase: Phase): string {
  const chosen = chosenOf(run)
  switch (phase) {
    case 'stopped': return `Stopped by you after ${plural(tokensDrawn(run), 'token')}.`
    case 'lost':
      return `Connection lost at ${seconds(run.t)}. What had arrived is kept; the server has stopped this run.`
    case 'failed': return run.candidates.size > 0 ? 'The run failed. What was drawn is kept.' : 'The run was refused.'
    default: return chosen.length === 0
      ? `Ended after ${seconds(run.t)}.`
      : `Candidate ${chosen.join(', ')} chosen after ${seconds(run.t)}.`
  }
}

/** What is seen before the first run. */
function Welcome () {
  const { state } = link.value
  const { strategy, rewards } = draft.value
  return (
    <div class='card empty'>
      {state === 'loading' || state === 'connecting'
        ? <p>The model is being loaded. Runs can start as soon as it is.</p>
        : (
          <p>Press Run. {strategy === 'best_of_n'
            ? <>Several answers will be drawn, and the best by <em>{rewards[0]?.name ?? 'the reward'}</em> chosen.</>
            : 'Every candidate will be drawn here as it grows.'}
          </p>
          )}
      <div class='actions centre'>
        <button type='button' onClick={() => { openExample().catch(reportError) }}>Open a recorded example</button>
        <OpenFile label='Open a file' />
      </div>
    </div>
  )
}

export function RunState ({ session }: { readonly session: Session }) {
  const { run } = session.shown.value
  const phase = session.phase.value
  useClock(session.isLive)
  const text = phase === 'idle'
    ? ''
    : session.isLive
      ? doing(run, session.waited, recentRate(session.entries, session.now))
      : ended(run, phase)
  useEffect(() => { if (text !== '') say(text, !session.isLive) }, [text])
  if (phase === 'idle') return <Welcome />
  const { head } = run
  return (
    <>
      {session.file.value !== null && head && (
        <p class='banner'>Recorded {new Date(head.created * 1000).toISOString().slice(0, 10)}, Fairlead {head.server},
          {' '}{head.fingerprint}. Nothing was sent.
        </p>
      )}
      <p class={`doing ${phase}`} data-run={head?.id}>{text}</p>
    </>
  )
}
