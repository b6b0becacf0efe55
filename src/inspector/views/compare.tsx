/** Compare: is it better, at what price? Two or three ways to answer, on one scale. */
import { useEffect, useState } from 'preact/hooks'
import { AskForm } from '../parts/ask-form.js'
import { Answer } from '../parts/answer.js'
import { CompareTable } from '../parts/compare-table.js'
import { Failure } from '../parts/failure.js'
import { RemoveButton } from '../parts/remove-button.js'
import { PairVote } from '../parts/pair-vote.js'
import { PinnedAnswers } from '../parts/pinned-answers.js'
import { profileName, type Asked } from '../logic/presets.js'
import { plain } from '../logic/request.js'
import type { Verdict } from '../logic/ratings.js'
import { modelProfiles, modelRewards } from '../state/model.js'
import { draft as runDraft, presets } from '../state/run.js'
import { commandKey, onKeys } from '../state/keyboard.js'
import { currentSet, loadSets, saveSet } from '../state/teach.js'
import { say } from '../state/status.js'
import {
  addWay, atOnce, changeProfile, changeWay, compare, comparePreset, failure, hasVoted, isBlind, isRunning, judges,
  maxTokens, outcomes, prompt, refusal, removeWay, seeds, stopComparing, ways, type Outcome, type Way
} from '../state/compare.js'

const letters = ['A', 'B', 'C'] as const

/** A way in a few words. */
export function wayTitle ({ draft: { strategy, fields, rewards }, profile }: Asked): string {
  if (profile !== null) return `profile ${profileName(profile)}`
  if (strategy === plain) return 'plain'
  const sizes = Object.values(fields[strategy] ?? {}).filter(value => typeof value === 'number')
  return `${strategy}${sizes.length > 0 ? ` ${sizes.join(' · ')}` : ''}, ` +
    rewards.map(({ name, weight }) => weight === 1 ? name : `${name} × ${weight}`).join(' + ')
}

/** Whose settings a column has. */
function ProfileChoice ({ way: { id, profile } }: { readonly way: Way }) {
  if (modelProfiles.value.length === 0) return null
  return (
    <label class='field'>Profile
      <select
        value={profile ?? ''}
        onChange={event => { changeProfile(id, event.currentTarget.value || null) }}
      >
        <option value=''>none: as below</option>
        {modelProfiles.value.map(one => <option key={one} value={one}>{profileName(one)}</option>)}
      </select>
    </label>
  )
}

/** Comparisons that one click sets up; nothing is drawn by it. */
function Presets () {
  return (
    <div class='bar-row' role='group' aria-label='Presets'>
      <span class='small'>Set up</span>
      {presets.value.map(preset => (
        <button
          key={preset.title} type='button'
          class='link'
          disabled={isRunning.value || preset.whyNot !== null} title={preset.whyNot ?? undefined}
          onClick={() => { comparePreset(preset) }}
        >{preset.title}
        </button>
      ))}
    </div>
  )
}

function Column ({ way, at, shown }: { readonly way: Way, readonly at: number, readonly shown: number }) {
  const all = outcomes.value.get(way.id) ?? []
  const outcome = all[Math.min(shown, all.length - 1)]
  return (
    <article class='card column' aria-label={`${letters[at]}: ${wayTitle(way)}`}>
      <div class='bar-row'>
        <h2>{letters[at]} <span class='muted'>{wayTitle(way)}{at === 0 && ' (baseline)'}</span></h2>
        <span class='grow' />
        {at > 1 && <RemoveButton label={`Remove ${letters[at]}`} onClick={() => { removeWay(way.id) }} />}
      </div>
      <details>
        <summary>Settings</summary>
        <ProfileChoice way={way} />
        {way.profile === null &&
          <AskForm
            draft={way.draft} errors={new Map()}
            onlyHow
            onChange={changes => { changeWay(way.id, changes) }}
          />}
      </details>
      {outcome
        ? <Answer text={outcome.text} />
        : <p class='muted' aria-busy={isRunning.value}>{isRunning.value ? 'being drawn…' : 'no answer yet'}</p>}
    </article>
  )
}

function Head () {
  return (
    <form
      class='card' aria-label='Prompt'
      onSubmit={event => {
        event.preventDefault()
        compare().catch(reportError)
      }}
    >
      <label class='field'>Prompt
        <textarea
          rows={2} dir='auto'
          value={prompt.value}
          onInput={event => { prompt.value = event.currentTarget.value }}
        />
      </label>
      <div class='bar-row'>
        <label class='inline'>seeds
          <select value={seeds.value} onChange={event => { seeds.value = Number(event.currentTarget.value) }}>
            {[1, 4, 8].map(one => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
        <label class='inline'>max tokens
          <input
            type='number' class='short'
            min={1}
            value={maxTokens.value} onInput={event => { maxTokens.value = Number(event.currentTarget.value) || 64 }}
          />
        </label>
        <label class='inline'>judge by
          <select
            value={judges.value[0] ?? ''}
            onChange={event => { judges.value = [event.currentTarget.value, ...judges.value.slice(1)] }}
          >
            {modelRewards.value.map(({ id }) => <option key={id} value={id}>{id}</option>)}
          </select>
        </label>
        <label class='inline'>and by
          <select
            value={judges.value[1] ?? ''} onChange={event => {
              const { value } = event.currentTarget
              judges.value = [...judges.value.slice(0, 1), ...(value === '' ? [] : [value])]
            }}
          >
            <option value=''>none</option>
            {modelRewards.value.filter(({ id }) => id !== judges.value[0])
              .map(({ id }) => <option key={id} value={id}>{id}</option>)}
          </select>
        </label>
        <label class='check'><input
          type='checkbox' checked={isBlind.value}
          disabled={ways.value.length !== 2}
          onChange={event => { isBlind.value = event.currentTarget.checked }}
                             />blind
        </label>
        <label class='check'><input
          type='checkbox' checked={atOnce.value}
          onChange={event => { atOnce.value = event.currentTarget.checked }}
                             />at once
        </label>
        <span class='grow' />
        {isRunning.value
          ? <button type='button' class='danger' onClick={stopComparing}>Stop <kbd>Esc</kbd></button>
          : (
            <button type='submit' class='primary' disabled={refusal.value !== null}>
              Run all <kbd>{commandKey} ↵</kbd>
            </button>
            )}
      </div>
      {refusal.value !== null && <p class='small'>{refusal.value}</p>}
    </form>
  )
}

/** Why there is nothing to vote on; null where there is. A reward is fitted on answers with text. */
function nothingToRate (a: Outcome, b: Outcome): string | null {
  if (a.text === b.text) return 'Both answers are the same: there is nothing to rate.'
  return a.text === '' || b.text === '' ? 'One answer has no text: there is nothing to rate.' : null
}

/** Which is better, of the first two: said blind, kept as a rating. */
function Vote ({ a, b }: { readonly a: Outcome, readonly b: Outcome }) {
  const [flipped] = useState(() => isBlind.value && Math.random() < 0.5)
  useEffect(() => { loadSets().catch(reportError) }, [])
  const nothing = nothingToRate(a, b)
  if (nothing !== null) return <p class='note'>{nothing}</p>
  const [left, right] = flipped ? [b, a] : [a, b]
  if (hasVoted.value) return <p class='note'>Kept in the data set “{currentSet.value.name}” of Teach.</p>
  const vote = (verdict: Verdict): void => {
    hasVoted.value = true
    const set = currentSet.value
    saveSet({
      ...set,
      ratings: [...set.ratings,
        { prompt: prompt.value, left: left.text, right: right.text, verdict, ms: 0, seed: a.seed }]
    })
    say('Kept as a rating.', true)
  }
  return (
    <section class='card' aria-label='Vote'>
      <h2>Which would you rather have?</h2>
      <PairVote
        prompt={prompt.value} left={left.text}
        right={right.text}
        onVote={vote}
      />
    </section>
  )
}

export function CompareView () {
  const [shown, setShown] = useState(0)
  useEffect(() => {
    const [first] = modelRewards.value
    if (first && judges.value.length === 0) judges.value = [first.id]
    if (first) {
      for (const { id, draft } of ways.value) {
        if (draft.rewards.length === 0) changeWay(id, { rewards: [{ name: first.id, weight: 1 }] })
      }
    }
  }, [modelRewards.value])
  useEffect(() => onKeys(key => {
    if (key === 'Enter+ctrl') compare().catch(reportError)
    else if (key === 'Escape' && isRunning.value) stopComparing()
    else return false
    return true
  }), [])
  const drawn = Math.min(...ways.value.map(({ id }) => outcomes.value.get(id)?.length ?? 0))
  const shownAt = Math.min(shown, drawn - 1)
  const [a, b] = ways.value.length === 2 && !isRunning.value
    ? ways.value.map(({ id }) => outcomes.value.get(id)?.[shownAt])
    : []
  const canVote = a !== undefined && b !== undefined && nothingToRate(a, b) === null
  const hides = isBlind.value && ways.value.length === 2 && !hasVoted.value && (isRunning.value || canVote)
  return (
    <div class='compare'>
      <Presets />
      <Head />
      {failure.value && <Failure failure={failure.value} />}
      {hides
        ? (
          <p class='small'>
            {isRunning.value ? 'Answers are being drawn…' : 'Labels, rewards and costs are shown after your vote.'}
          </p>
          )
        : (
          <div class={`columns of-${ways.value.length}`}>
            {ways.value.map((way, at) => <Column
              key={way.id} way={way}
              at={at}
              shown={shown}
                                         />)}
          </div>
          )}
      {!hides && (
        <div class='bar-row'>
          {seeds.value > 1 && drawn > 1 && (
            <label class='inline'>answer
              <select value={shown} onChange={event => { setShown(Number(event.currentTarget.value)) }}>
                {Array.from({ length: drawn }, (_, at) => <option key={at} value={at}>{at + 1} of {drawn}</option>)}
              </select>
            </label>
          )}
          {ways.value.length < 3 &&
            <button type='button' class='link' onClick={() => { addWay(runDraft.value) }}>
              + a third column, as in Run
            </button>}
        </div>
      )}
      {!hides && drawn > 0 && <CompareTable letters={letters} title={wayTitle} />}
      {!hides && <PinnedAnswers />}
      {a && b && (isBlind.value || hasVoted.value) && <Vote key={String(a.seed)} a={a} b={b} />}
    </div>
  )
}
