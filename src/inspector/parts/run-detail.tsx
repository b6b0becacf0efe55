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
  const shown = session.shown.value
  const { run } = shown
  const index = session.selected.value ?? firstToSee(run)
  const lineage = index === null ? undefined : run.candidates.get(index)
  if (!lineage) return null
  const goOn = onContinue && ((before: string, at: number): void => { onContinue(before, lineage.index, at) })
  return (
    <aside
      class='card' aria-label='Candidate'
      id='detail'
      tabIndex={-1}
    >
      <CandidateDetail
        key={lineage.index} shown={shown} lineage={lineage}
        {...(goOn ? { onContinue: goOn } : {})}
      />
    </aside>
  )
}
