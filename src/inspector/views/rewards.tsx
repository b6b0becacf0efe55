/** Rewards: can I trust it? What there is, each with its card, tried on any answer. */
import { useEffect, useState } from 'preact/hooks'
import type { RewardCard, RewardListItem, RewardScores } from '../logic/api-types.js'
import { signed } from '../logic/formats.js'
import { readingOf, tintNames, type Reading } from '../logic/tints.js'
import { figuresOf } from '../logic/verdict.js'
import { Dialog } from '../parts/dialog.js'
import { Failure } from '../parts/failure.js'
import { RewardCardView } from '../parts/reward-card.js'
import { TokenText } from '../parts/token-text.js'
import { loadLists, rewards } from '../server/connection.js'
import { ApiFailure, call } from '../server/http.js'
import { isReady } from '../server/link.js'
import { baseModel, headless, misfit } from '../state/model.js'
import { change } from '../state/run.js'
import { go, hrefOf, route } from '../state/router.js'
import { say } from '../state/status.js'

/** Runs a call and keeps its failure to be shown. */
function useFailure () {
  const [failure, setFailure] = useState<ApiFailure | null>(null)
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setFailure(null)
    try {
      await work()
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error
      setFailure(error)
    }
  }
  return { failure, attempt }
}

function TryIt ({ reward }: { readonly reward: RewardListItem }) {
  const [prompt, setPrompt] = useState('Write a short review of a film.')
  const [answer, setAnswer] = useState('')
  const [result, setResult] = useState<{ readonly whole: number, readonly reading: Reading } | null>(null)
  const { failure, attempt } = useFailure()
  const score = async (): Promise<void> => {
    const input = [{ prompt, answer }]
    const ask = (more: object): Promise<RewardScores> =>
      call<RewardScores>('/v1/rewards/score', { body: { model: baseModel.value, reward: reward.id, input, ...more } })
    const [whole, prefixes] = await Promise.all([ask({}), ask({ member: 'prefix', every: 1 })])
    setResult({ whole: whole.data[0]!.reward, reading: readingOf(answer, prefixes.data[0]!) })
  }
  const tokens = result?.reading.pieces.map(piece => ({ piece, lnPolicy: null, guided: null })) ?? []
  return (
    <section aria-label='Try it'>
      <h3>Try it</h3>
      <form onSubmit={event => {
        event.preventDefault()
        attempt(score).catch(reportError)
      }}
      >
        <label class='field'>
          Prompt <input value={prompt} onInput={event => { setPrompt(event.currentTarget.value) }} />
        </label>
        <label class='field'>Answer
          <textarea
            rows={3} value={answer}
            onInput={event => {
              setAnswer(event.currentTarget.value)
              setResult(null)
            }}
          />
        </label>
        <button type='submit' disabled={!isReady.value || answer.trim() === ''}>Score</button>
      </form>
      {failure && <Failure failure={failure} />}
      {result && (
        <>
          <p>
            Whole answer: <strong class='number'>{signed(result.whole)}</strong>{' '}
            <span class='muted'>outcome member</span>, after the last token {signed(result.reading.reward)}{' '}
            <span class='muted'>prefix member</span>
          </p>
          <TokenText tokens={tokens} figures={result.reading.changes} figureName={tintNames.reward} />
        </>
      )}
    </section>
  )
}

function Delete ({ name, onClose }: { readonly name: string, readonly onClose: () => void }) {
  const [typed, setTyped] = useState('')
  const { failure, attempt } = useFailure()
  const remove = async (): Promise<void> => {
    await call(`/v1/rewards/${encodeURIComponent(name)}`, { method: 'DELETE' })
    await loadLists()
    say(`${name} was deleted.`, true)
    onClose()
    go('rewards')
  }
  return (
    <Dialog title={`Delete ${name}`} onClose={onClose}>
      <form onSubmit={event => {
        event.preventDefault()
        attempt(remove).catch(reportError)
      }}
      >
        <label class='field'>Type its name to delete it from the server
          <input value={typed} autocomplete='off' onInput={event => { setTyped(event.currentTarget.value) }} />
        </label>
        {failure && <Failure failure={failure} />}
        <button type='submit' class='danger' disabled={typed !== name}>Delete</button>
      </form>
    </Dialog>
  )
}

function Facts ({ title, value }: {
  readonly title: string, readonly value: Readonly<Record<string, unknown>> | null
}) {
  if (value === null) return null
  return (
    <details>
      <summary>{title}</summary>
      <pre tabIndex={0} role='region' aria-label={title}>{JSON.stringify(value, null, 2)}</pre>
    </details>
  )
}

/** What a built-in reward's card says of its limits. */
function Limits ({ name }: { readonly name: string }) {
  const [limits, setLimits] = useState<readonly string[]>([])
  useEffect(() => {
    const load = async (): Promise<void> => {
      const response = await fetch('limits.json')
      if (response.ok) setLimits((await response.json() as Record<string, readonly string[]>)[name] ?? [])
    }
    load().catch(reportError)
  }, [])
  if (limits.length === 0) return null
  return (
    <section aria-label='Limits'>
      <h3>Limits</h3>
      <ul class='limits small'>{limits.map(line => <li key={line}>{line}</li>)}</ul>
    </section>
  )
}

function Detail ({ reward }: { readonly reward: RewardListItem }) {
  const [card, setCard] = useState<RewardCard | null>(null)
  const [isDeleting, setDeleting] = useState(false)
  const { failure, attempt } = useFailure()
  useEffect(() => {
    setCard(null)
    attempt(async () => { setCard(await call<RewardCard>(`/v1/rewards/${encodeURIComponent(reward.id)}`)) }).catch(reportError)
  }, [reward.id, reward.version])
  const problem = misfit(reward)
  return (
    <section class='card step' aria-label={reward.id}>
      <div class='bar-row'>
        <h2>{reward.id} <span class='muted'>{reward.kind}, version {reward.version}</span></h2>
        <span class='grow' />
        <button
          type='button' disabled={problem !== null}
          onClick={() => {
            change({ rewards: [{ name: reward.id, weight: 1 }] })
            go('run')
          }}
        >Use it in Run
        </button>
        {reward.deletable && <button type='button' class='danger' onClick={() => { setDeleting(true) }}>Delete</button>}
      </div>
      <p>{reward.description}</p>
      <p class='small'>members: {reward.members.join(', ')} · models: {reward.models.join(', ')}</p>
      {problem !== null && <p class='note'>It {problem}: runs of this model cannot use it.</p>}
      {failure && <Failure failure={failure} />}
      {card && (
        <>
          {figuresOf(card.metrics)
            ? <RewardCardView card={card} />
            : <p class='small'>It was not fitted here: there are no held-out figures.</p>}
          {!reward.deletable && <Limits key={reward.id} name={reward.id} />}
          {problem === null && <TryIt key={reward.id} reward={reward} />}
          <Facts title='Standardisation' value={card.statistics} />
          <Facts title='Fit' value={card.fit} />
          <Facts title='Next-token member' value={card.next_token} />
          <Facts title='Adaptation' value={card.adaptation} />
        </>
      )}
      {isDeleting && <Delete name={reward.id} onClose={() => { setDeleting(false) }} />}
    </section>
  )
}

export function RewardsView () {
  const chosen = rewards.value.find(({ id }) => id === route.value.name) ?? rewards.value[0]
  if (!chosen) {
    return (
      <p class='card empty'>
        {isReady.value
          ? `There are no rewards. ${headless.value ?? 'Teach one, or start the server with --rewards-dir.'}`
          : 'The server is not ready.'}
      </p>
    )
  }
  return (
    <div class='rewards-view'>
      <nav class='card list' aria-label='Rewards'>
        {rewards.value.map(one => (
          <a
            key={one.id} href={hrefOf('rewards', one.id)}
            class={misfit(one) === null ? '' : 'unfit'}
            {...(one.id === chosen.id ? { 'aria-current': 'true' as const } : {})}
          >
            <strong>{one.id}</strong>{' '}
            <span class='small'>{misfit(one) ?? `${one.kind} · ${one.members.join(', ')}`}</span>
          </a>
        ))}
        {headless.value !== null && <p class='small'>{headless.value}</p>}
      </nav>
      <Detail reward={chosen} />
    </div>
  )
}
