/** A recorded run that was run again here: is it the same? */
import { compareRuns, type Comparison } from '../logic/again.js'
import { plural } from '../logic/formats.js'
import type { Run } from '../../journal/fold.js'
import type { Session } from '../state/session.js'
import { openRun, original } from '../state/run.js'

function tokensLine ({ compared, same, parting }: Comparison): string {
  if (compared === 0) return 'Texts were left out of the recorded run: there is nothing to compare tokens with.'
  if (!parting) return `Tokens: identical, ${plural(compared, 'candidate')}.`
  return `Tokens: ${same} of ${plural(compared, 'candidate')} identical; candidate ${parting.candidate} differs from ` +
    `${parting.of} ${parting.at} on.`
}

function rewardsLine ({ scored, rewardDifference }: Comparison): string | null {
  if (scored === 0) return null
  return rewardDifference === 0
    ? `Rewards: identical, ${plural(scored, 'candidate')}.`
    : `Rewards: differ by up to ${rewardDifference.toFixed(3)}.`
}

function machineLine ({ isSameMachine }: Comparison, before: Run, after: Run): string {
  return isSameMachine
    ? `The same build, model and machine (${after.head!.fingerprint}).`
    : `Another build, model or machine (${before.head!.fingerprint}, here ${after.head!.fingerprint}): expect other text.`
}

/** The result, once there is one. */
function Result ({ before, after }: { readonly before: Run, readonly after: Run }) {
  const result = compareRuns(before, after)
  const rewards = rewardsLine(result)
  const isSame = result.compared > 0 && result.parting === null && result.rewardDifference === 0
  return (
    <>
      <h2>{isSame ? '✓ Identical to the recorded run' : 'Compared with the recorded run'}</h2>
      <ul>
        <li>{tokensLine(result)}</li>
        {result.isSameChoice !== null &&
          <li>Chosen: {result.isSameChoice
            ? 'the same'
            : `${before.select!.chosen.join(', ')} then, ${after.select!.chosen.join(', ')} now`}.
          </li>}
        {rewards && <li>{rewards}</li>}
        <li>{machineLine(result, before, after)}</li>
      </ul>
    </>
  )
}

export function Again ({ session }: { readonly session: Session }) {
  const recorded = original.value
  if (!recorded || session.isLive) return null
  return (
    <section class='card again' aria-label='Compared with the recorded run'>
      {session.phase.value === 'done' && session.run.head && <Result before={recorded.run} after={session.run} />}
      <button type='button' class='link' onClick={() => { openRun(recorded.entries, recorded.file) }}>
        Show the recorded run
      </button>
    </section>
  )
}
