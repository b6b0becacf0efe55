/** What a run is doing, or why there is none, in one line. */
import { useEffect } from 'preact/hooks'
import type { Run } from '../../journal/fold.js'
import { count, plural, seconds, signed } from '../logic/formats.js'
import { chosenOf, inOrder, tokensDrawn } from '../logic/lineages.js'
import { draft } from '../state/run.js'
import type { Phase, Session } from '../state/session.js'
import { link } from '../server/link.js'
import { OpenFile, openExample } from './open-file.js'
import { say } from '../state/status.js'

/** What a live run is doing. */
function doing (run: Run): string {
  if (run.start === null) {
    return run.queued === null || run.queued === 0 ? 'Waiting for memory' : `Waiting behind ${plural(run.queued, 'request')}`
  }
  const lineages = inOrder(run)
  if (lineages.every(({ tokens }) => tokens === 0)) return `Reading ${plural(run.start.prompt, 'token')}`
  const open = lineages.filter(({ ended, droppedAt }) => ended === null && droppedAt === null).length
  if (open === 0) return `Choosing among ${lineages.filter(({ droppedAt }) => droppedAt === null).length}`
  const best = Math.max(...lineages.map(({ reward }) => reward ?? -Infinity))
  const rate = run.t > 0 ? ` · ${count(tokensDrawn(run) / run.t * 1000)} tokens/s` : ''
  return `${lineages.length - open} of ${lineages.length} answers finished` +
    `${best === -Infinity ? '' : ` · best ${signed(best)}`}${rate}`
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
  const text = phase === 'idle' ? '' : session.isLive ? doing(run) : ended(run, phase)
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
