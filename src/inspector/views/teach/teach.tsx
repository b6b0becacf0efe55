/** Teach: what do I like? Prompts, ratings, a reward fitted on them, steering with it, a blind check. */
import { signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { emptySet, fitPairs, isRewardName, promptsOf } from '../../logic/ratings.js'
import { rewards } from '../../server/connection.js'
import { go } from '../../state/router.js'
import {
  changeSet, currentSet, currentVersion, deleteSet, loadSets, saveSet, sets, setsLoaded, storageProblem
} from '../../state/teach.js'
import { Agreement } from './agreement.js'
import { Check } from './check.js'
import { Fit } from './fit.js'
import { Prompts } from './prompts.js'
import { enough, Rate } from './rate.js'
import { Steer } from './steer.js'

const steps = ['Prompts', 'Rate', 'Fit', 'Steer', 'Check'] as const
type Step = (typeof steps)[number]

/** The step that is shown; null until one is chosen. */
const chosenStep = signal<Step | null>(null)

function isDone (step: Step): boolean {
  const set = currentSet.value
  switch (step) {
    case 'Prompts': return set.prompts.length > 0
    case 'Rate': return fitPairs(set).length >= enough.fit
    case 'Fit': case 'Steer': return set.fits.length > 0 && rewards.value.some(({ id }) => id === set.name)
    case 'Check': return set.votes.some(({ version }) => version === currentVersion.value)
  }
}

function NewSet () {
  const [name, setName] = useState('')
  const wrong = name !== '' && !isRewardName(name)
    ? 'Lower-case letters, digits, _ and -, starting with a letter.'
    : sets.value.some(set => set.name === name) ? 'There is one of this name.' : ''
  return (
    <form
      class='bar-row' onSubmit={event => {
        event.preventDefault()
        saveSet(emptySet(name))
        chosenStep.value = 'Prompts'
        go('teach', name)
        setName('')
      }}
    >
      <input
        aria-label='Name of a new data set' placeholder='name of a new data set'
        value={name} class='short'
        aria-invalid={wrong !== ''} aria-describedby='new-set-message'
        onInput={event => { setName(event.currentTarget.value) }}
      />
      <button type='submit' disabled={name === '' || wrong !== ''}>New</button>
      <span id='new-set-message' class='error'>{wrong}</span>
    </form>
  )
}

function SetHead () {
  const set = currentSet.value
  const pairs = fitPairs(set)
  return (
    <section class='card set-head' aria-label='Data set'>
      <div class='bar-row'>
        <label class='inline'>Teach
          <select value={set.name} onChange={event => { go('teach', event.currentTarget.value) }}>
            {[...new Set([...sets.value.map(({ name }) => name), set.name])]
              .map(name => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
        <span class='small'>{pairs.length} pairs · {promptsOf(pairs)} prompts rated</span>
        <span class='grow' />
        <details class='more'>
          <summary>More</summary>
          <NewSet />
          <button
            type='button' class='danger'
            disabled={!sets.value.includes(set)} onClick={() => {
              if (confirm(`Delete the data set “${set.name}” with its ${set.ratings.length} ratings from this browser?`)) {
                deleteSet(set.name).catch(reportError)
              }
            }}
          >Delete this data set
          </button>
        </details>
      </div>
      <label class='field'>What I like
        <input
          value={set.taste} maxLength={1000}
          placeholder='for instance: concrete, short, no flattery'
          onChange={event => { changeSet({ taste: event.currentTarget.value }) }}
        />
      </label>
    </section>
  )
}

function Stepper ({ step }: { readonly step: Step }) {
  return (
    <ol class='stepper' aria-label='Steps'>
      {steps.map((one, at) => (
        <li key={one}>
          <button
            type='button'
            {...(one === step ? { 'aria-current': 'step' as const } : {})}
            onClick={() => { chosenStep.value = one }}
          >
            <span class='number'>{at + 1}</span> {one}
            {isDone(one) && <span class='done'> ✓<span class='sr-only'> done</span></span>}
          </button>
        </li>
      ))}
    </ol>
  )
}

export function TeachView () {
  useEffect(() => {
    // Where somebody left off: a step stays until another is chosen.
    loadSets().then(() => {
      chosenStep.value ??= currentSet.value.prompts.length === 0 ? 'Prompts' : 'Rate'
    }, reportError)
  }, [])
  if (!setsLoaded.value) return <p class='empty'>Reading what this browser has kept…</p>
  const step = chosenStep.value ?? 'Prompts'
  const to = (next: Step) => () => { chosenStep.value = next }
  return (
    <div class='teach'>
      {storageProblem.value !== '' && <p class='banner bad' role='alert'>{storageProblem.value}</p>}
      <SetHead />
      <Stepper step={step} />
      {step === 'Prompts' && <Prompts onNext={to('Rate')} />}
      {step === 'Rate' && (currentSet.value.prompts.length === 0
        ? <section class='card step'><p class='empty'>Add prompts first.</p></section>
        : <Rate onNext={to('Fit')} />)}
      {step === 'Fit' && <Fit onNext={to('Steer')} onRate={to('Rate')} />}
      {step === 'Steer' && <Steer onNext={to('Check')} />}
      {step === 'Check' && <Check />}
      {(step === 'Rate' || step === 'Fit') && <Agreement />}
    </div>
  )
}
