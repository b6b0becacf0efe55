/** The candidate that is looked at, of a run. */
import { firstToSee } from '../logic/lineages.js'
import type { Session } from '../state/session.js'
import { CandidateDetail } from './candidate-detail.js'

interface RunDetailProps {
  readonly session: Session
  /** Goes on from a token; absent where nothing can be asked. */
  readonly onContinue?: (before: string, candidate: number, token: number) => void
}

export function RunDetail ({ session, onContinue }: RunDetailProps) {
  // The run changes in place: its version is what says that there is something new to show.
  const version = session.version.value
  const { run } = session
  const index = session.selected.value ?? firstToSee(run)
  const lineage = index === null ? undefined : run.candidates.get(index)
  if (!lineage) return null
  return (
    <aside class='card' aria-label='Candidate' id='detail' tabIndex={-1}>
      <CandidateDetail
        key={lineage.index} version={version} run={run} lineage={lineage}
        {...(onContinue ? { onContinue: (before: string, at: number) => { onContinue(before, lineage.index, at) } } : {})}
      />
    </aside>
  )
}
