/** Teach, step 5: is steered better? Blind, on prompts that were not rated. */
import { useEffect, useState } from 'preact/hooks'
import { wilson } from '../../logic/intervals.js'
import { checkResult, checkRounds, type CheckVote, type RatingSet, type Verdict } from '../../logic/ratings.js'
import { Failure } from '../../parts/failure.js'
import { PairVote } from '../../parts/pair-vote.js'
import { count, percent } from '../../logic/formats.js'
import { drawAnswers, randomSeed } from '../../server/answers.js'
import { isReady } from '../../server/link.js'
import { ApiFailure } from '../../server/http.js'
import { baseModel } from '../../state/model.js'
import { answerTokens, changeSet, currentSet, currentVersion } from '../../state/teach.js'
import { steeredCandidates } from './steer.js'

interface Trial {
  readonly prompt: string
  readonly plain: string
  readonly steered: string
  readonly plainIsLeft: boolean
}

/** Plain and steered answers with the same seed, drawn one after the other. @throws ApiFailure */
async function drawTrial (prompt: string, reward: string): Promise<Trial> {
  const shared = {
    model: baseModel.value,
    messages: [{ role: 'user', content: prompt }],
    n: 1,
    maxTokens: answerTokens.value,
    priority: 0
  }
  for (let attempt = 0; ; attempt++) {
    const seed = randomSeed()
    const [plain = ''] = await drawAnswers({ ...shared, seed, alignment: null })
    const alignment = { strategy: 'best_of_n', num_candidates: steeredCandidates, reward }
    const [steered = ''] = await drawAnswers({ ...shared, seed, alignment })
    // Where the plain answer is the best, there is nothing to compare.
    if (plain !== steered || attempt >= 3) return { prompt, plain, steered, plainIsLeft: Math.random() < 0.5 }
  }
}

/** Prompts for the check: not rated where there are such, not checked with this version yet. */
function freshPrompts ({ prompts, ratings, votes }: RatingSet, version: number): string[] {
  const checked = new Set(votes.filter(vote => vote.version === version).map(({ prompt }) => prompt))
  const rated = new Set(ratings.map(({ prompt }) => prompt))
  const open = prompts.filter(prompt => !checked.has(prompt))
  const fresh = open.filter(prompt => !rated.has(prompt))
  return fresh.length > 0 ? fresh : open
}

function Result ({ votes, rated }: { readonly votes: readonly CheckVote[], readonly rated: number }) {
  const { steered, plain, ties, plainLength, steeredLength } = checkResult(votes)
  const decided = steered + plain
  const [low, high] = wilson(steered, decided)
  return (
    <div class='result'>
      <p class='headline'>You preferred steered in {steered} of {decided}{ties > 0 && `, ${ties} ${ties === 1 ? 'tie' : 'ties'}`} {' '}
        <span class='muted'>(95 %: {percent(low)} to {percent(high)})</span>
      </p>
      <p>{low > 0.5
        ? 'Steered answers are better by your taste.'
        : high < 0.5
          ? 'Steered answers are worse by your taste.'
          : 'No clear preference: more pairs, or a larger N.'}
      </p>
      {rated > 0 && (
        <p class='small'>
          {rated} of {votes.length} were compared on prompts that had been rated: there the reward may only remember.
        </p>
      )}
      <p class='small'>
        Mean length: plain {count(plainLength)} characters, steered {count(steeredLength)}. A reward that has only
        learnt length shows here.
      </p>
    </div>
  )
}

export function Check () {
  const set = currentSet.value
  const version = currentVersion.value
  const votes = set.votes.filter(vote => vote.version === version)
  const [trial, setTrial] = useState<Trial | null>(null)
  const [failure, setFailure] = useState<ApiFailure | null>(null)
  const [isOn, setOn] = useState(false)
  const next = async (): Promise<void> => {
    const now = currentSet.value
    const done = now.votes.filter(vote => vote.version === version).length
    const fresh = freshPrompts(now, version!)
    setTrial(null)
    setFailure(null)
    if (done > 0 && done % checkRounds === 0 && isOn) return setOn(false)
    if (fresh.length === 0) return setOn(false)
    setOn(true)
    try {
      setTrial(await drawTrial(fresh[Math.floor(Math.random() * fresh.length)]!, now.name))
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error
      setFailure(error)
    }
  }
  useEffect(() => { setTrial(null) }, [set.name])
  if (version === null) return <section class='card step'><p class='empty'>Fit the reward first.</p></section>
  const vote = (verdict: Verdict): void => {
    if (!trial) return
    const { prompt, plain, steered, plainIsLeft } = trial
    if (verdict !== 'skip') {
      const winner = verdict === 'same' ? 'same' : (verdict === 'left') === plainIsLeft ? 'plain' : 'steered'
      changeSet({ votes: [...currentSet.value.votes, { version, prompt, plain, steered, winner }] })
    }
    next().catch(reportError)
  }
  const left = freshPrompts(set, version).length
  const ratedPrompts = new Set(set.ratings.map(({ prompt }) => prompt))
  return (
    <section class='card step' aria-label='Check'>
      <h2>Is steered better?</h2>
      <p class='small'>Plain against best of {steeredCandidates} by {set.name} v{version}, blind.</p>
      {failure && <Failure failure={failure} />}
      {isOn && !failure && (trial
        ? (
          <PairVote
            key={trial.prompt + trial.plain} prompt={trial.prompt}
            left={trial.plainIsLeft ? trial.plain : trial.steered}
            right={trial.plainIsLeft ? trial.steered : trial.plain} onVote={vote}
          />
          )
        : <p class='empty' aria-busy='true'>Both answers are being drawn…</p>)}
      {isOn && <p class='small'>{votes.length % checkRounds} of {checkRounds} compared</p>}
      {!isOn && votes.length > 0 && (
        <Result votes={votes} rated={votes.filter(({ prompt }) => ratedPrompts.has(prompt)).length} />
      )}
      {(!isOn || failure) && (
        <div class='actions'>
          <button
            type='button' class='primary'
            disabled={!isReady.value || left === 0}
            onClick={() => { next().catch(reportError) }}
          >
            {votes.length === 0 ? `Compare ${checkRounds} pairs` : `${checkRounds} more`}
          </button>
          {left === 0 && <span class='small'>All prompts have been compared: add more under Prompts.</span>}
        </div>
      )}
      {votes.length > 0 && !isOn && (
        <details>
          <summary>What was compared ({votes.length})</summary>
          <ul class='compared'>
            {votes.map(({ prompt, winner }, at) => (
              <li key={at}><strong>{winner === 'same' ? 'tie' : winner}</strong> <bdi dir='auto'>{prompt}</bdi></li>
            ))}
          </ul>
        </details>
      )}
    </section>
  )
}
