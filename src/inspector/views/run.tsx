/** Run: what did it do? A request, its candidates while they grow, what it took, one candidate by token. */
import { useComputed } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { oneLine } from '../logic/formats.js'
import { draftOf } from '../logic/request.js'
import { AskForm } from '../parts/ask-form.js'
import { Again } from '../parts/again.js'
import { Candidates } from '../parts/candidates.js'
import { Cost } from '../parts/cost.js'
import { Divider } from '../parts/divider.js'
import { Failure } from '../parts/failure.js'
import { RunBar } from '../parts/run-bar.js'
import { RunDetail } from '../parts/run-detail.js'
import { RunState } from '../parts/run-state.js'
import { Scrubber } from '../parts/scrubber.js'
import { isReady } from '../server/link.js'
import { commandKey, onKeys } from '../state/keyboard.js'
import { columnLimits, columnWidths } from '../state/preferences.js'
import { branch, change, draft, refusal, session, startRun } from '../state/run.js'

/** Messages of the server about fields, by the field's name. */
function fieldErrors (): ReadonlyMap<string, string> {
  const failure = session.failure.value
  if (!failure?.param) return new Map()
  const name = failure.param.replace(/^alignment\./, '').split(/[.[]/)[0]!
  return new Map([[name, failure.message]])
}

/** The focus goes where the error is. */
function focusError (): void {
  document.querySelector<HTMLElement>('.ask [aria-invalid="true"]')?.focus()
}

function Ask () {
  const errors = useComputed(fieldErrors).value
  useEffect(() => { if (errors.size > 0) focusError() }, [errors])
  const isLive = session.isLive
  const [isOpen, setOpen] = useState(false)
  // On a small screen the form makes room for the run, until it is wanted again.
  const folds = session.hasRun.value && errors.size === 0
  return (
    <form
      class={`ask card${folds && !isOpen ? ' folded' : ''}`} aria-label='Ask' id='ask'
      onSubmit={event => {
        event.preventDefault()
        setOpen(false)
        startRun().catch(reportError)
      }}
    >
      {folds &&
        <button type='button' class='fold' aria-expanded={isOpen} onClick={() => { setOpen(!isOpen) }}>
          <span class='sr-only'>The request: </span>✎ {oneLine(draft.value.prompt)}
        </button>}
      <AskForm draft={draft.value} errors={errors} onChange={change} />
      {draft.value.beginning !== '' && branch.value &&
        <p class='note'>
          Branched from {branch.value.of}, candidate {branch.value.candidate}, at token {branch.value.token}.
        </p>}
      <div class='actions sticky'>
        {isLive
          ? <button type='button' class='danger' onClick={() => { session.stop() }}>Stop <kbd>Esc</kbd></button>
          : (
            <button type='submit' class='primary' disabled={refusal.value !== null}>
              Run <kbd>{commandKey} ↵</kbd>
            </button>
            )}
        {!isLive && refusal.value !== null && <span class='small'>{refusal.value}</span>}
      </div>
    </form>
  )
}

/** Opens the run's own request with an answer's beginning: the run goes on from there. */
function continueFrom (before: string, candidate: number, token: number): void {
  const { id, request } = session.run.head!
  const asked = draftOf(request)
  branch.value = { of: id, candidate, token }
  change({ ...asked, beginning: asked.beginning + before })
  startRun().catch(reportError)
}

export function RunView () {
  useEffect(() => onKeys(key => {
    if (key === 'Enter+ctrl') startRun().catch(reportError)
    else if (key === 'Escape' && session.isLive) session.stop()
    else return false
    return true
  }), [])
  const hasRun = session.hasRun.value
  const failure = session.failure.value
  return (
    <div class='run' style={`--ask:${columnWidths.ask.value}px;--detail:${columnWidths.detail.value}px`}>
      <Ask />
      <Divider
        label='Width of the request' controls='ask'
        width={columnWidths.ask} limits={columnLimits.ask}
      />
      <div class='middle'>
        {failure && <Failure failure={failure} />}
        <RunState session={session} />
        <Again session={session} />
        {hasRun && (
          <>
            <Candidates session={session} />
            {!session.isLive && <Scrubber session={session} />}
            <Cost run={session.shown.value.run} />
            <RunBar session={session} />
          </>
        )}
      </div>
      {hasRun &&
        <Divider
          label='Width of the candidate’s details' controls='detail'
          width={columnWidths.detail} limits={columnLimits.detail}
          isOnRight
        />}
      {hasRun &&
        <RunDetail session={session} {...(isReady.value && !session.isLive ? { onContinue: continueFrom } : {})} />}
    </div>
  )
}
