/** Teach, step 3: a reward is fitted on the ratings, and its card says what it is worth. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { RewardCard } from '../../logic/api-types.js'
import { fitPairs, isRewardName, lengthLean, promptsOf } from '../../logic/ratings.js'
import { Failure } from '../../parts/failure.js'
import { RewardCardView } from '../../parts/reward-card.js'
import { rewards } from '../../server/connection.js'
import { isReady } from '../../server/link.js'
import { ApiFailure, call } from '../../server/http.js'
import { headless } from '../../state/model.js'
import { currentSet, fitSet, type FitProgress } from '../../state/teach.js'
import { say } from '../../state/status.js'
import { enough } from './rate.js'

const phases: Readonly<Record<string, string>> = {
  queued: 'waiting for another fit',
  features: 'reading the answers',
  pool: 'drawing the pool that scores are standardised on',
  fit: 'fitting',
  next_token: 'fitting the next-token member'
}

function Versions () {
  const { fits } = currentSet.value
  if (fits.length < 2) return null
  return (
    <details>
      <summary>Versions ({fits.length})</summary>
      <ul class='small'>
        {fits.map(({ version, created, pairs, prompts, seconds }) => (
          <li key={version}>
            v{version}: {pairs} pairs of {prompts} prompts, {seconds.toFixed(1)} s,{' '}
            {new Date(created * 1000).toLocaleString()}
          </li>
        ))}
      </ul>
    </details>
  )
}

export function Fit ({ onNext, onRate }: { readonly onNext: () => void, readonly onRate: () => void }) {
  const set = currentSet.value
  const pairs = fitPairs(set)
  const [progress, setProgress] = useState<FitProgress | null>(null)
  const [failure, setFailure] = useState<ApiFailure | null>(null)
  const [card, setCard] = useState<RewardCard | null>(null)
  const [directions, setDirections] = useState(false)
  const [qHead, setQHead] = useState(false)
  const abort = useRef<AbortController | null>(null)
  const isThere = rewards.value.some(({ id }) => id === set.name)
  useEffect(() => {
    if (!isThere || set.fits.length === 0) return
    call<RewardCard>(`/v1/rewards/${encodeURIComponent(set.name)}`).then(setCard, () => {})
  }, [set.name, isThere, set.fits.length])
  useEffect(() => () => { abort.current?.abort() }, [])
  const isTaken = isThere && set.fits.length === 0
  const fit = async (): Promise<void> => {
    abort.current = new AbortController()
    setFailure(null)
    setProgress({ phase: 'queued', share: 0 })
    try {
      setCard(await fitSet({ directions: directions ? 16 : null, qHead }, setProgress, abort.current.signal))
      say(`${set.name} is fitted.`, true)
    } catch (error) {
      if (error instanceof ApiFailure) setFailure(error)
      else if (!abort.current.signal.aborted) throw error
    } finally {
      setProgress(null)
    }
  }
  const reason = headless.value ?? (!isRewardName(set.name)
    ? 'The data set’s name must be lower-case letters, digits, _ and -, starting with a letter.'
    : isTaken
      ? `A reward called ${set.name} is on the server already. Give the data set another name.`
      : pairs.length < enough.fit ? `${enough.fit - pairs.length} more pairs are needed.` : null)
  const last = set.fits.at(-1)
  return (
    <section class='card step' aria-label='Fit'>
      <h2>Fit “{set.name}”{last && ` (now v${last.version})`}</h2>
      <p class='small'>
        {pairs.length} pairs of {promptsOf(pairs)} prompts. A fifth of the prompts is held out, so that the card tells
        how the reward does on what it has not seen.
      </p>
      <details>
        <summary>Options</summary>
        <label class='check'><input
          type='checkbox' checked={directions}
          onChange={event => { setDirections(event.currentTarget.checked) }}
                             />
          keep 16 directions, so that it can be adapted to others
        </label>
        <label class='check'>
          <input type='checkbox' checked={qHead} onChange={event => { setQHead(event.currentTarget.checked) }} />
          also a next-token member, for token_guidance with method q_head (takes longer)
        </label>
      </details>
      <div class='actions'>
        {progress
          ? <button type='button' class='danger' onClick={() => { abort.current?.abort() }}>Cancel</button>
          : (
            <button
              type='button' class={card ? '' : 'primary'}
              disabled={reason !== null || !isReady.value}
              onClick={() => { fit().catch(reportError) }}
            >{last ? 'Fit again' : 'Fit'}
            </button>
            )}
        {reason !== null && !progress && <span class='small'>{reason}</span>}
      </div>
      {progress && (
        <div class='progress' aria-live='polite'>
          <progress max={1} value={progress.share} aria-label='Fit' />
          <span class='small'>{phases[progress.phase] ?? progress.phase} {Math.round(progress.share * 100)} %</span>
        </div>
      )}
      {failure && <Failure failure={failure} />}
      {card && last && (
        <>
          <h3>{set.name} v{last.version} · fitted in {last.seconds.toFixed(1)} s</h3>
          <RewardCardView card={card} lean={lengthLean(pairs)} />
          <Versions />
          <div class='actions'>
            <button type='button' class='primary' onClick={onNext}>Steer with it →</button>
            <button type='button' onClick={onRate}>Keep rating</button>
          </div>
        </>
      )}
    </section>
  )
}
