/** Pinned answers on one scale: read again, whole, by the rewards that judge; nothing is drawn for them. */
import { useState } from 'preact/hooks'
import { signed, count, decimal } from '../logic/formats.js'
import { distinctPairs } from '../logic/intervals.js'
import { haveOnePrompt, type Pin } from '../logic/pins.js'
import { scoreAnswers } from '../server/answers.js'
import { ApiFailure } from '../server/http.js'
import { isReady } from '../server/link.js'
import { judges } from '../state/compare.js'
import { baseModel } from '../state/model.js'
import { pins, unpin } from '../state/pins.js'
import { Answer } from './answer.js'
import { Failure } from './failure.js'
import { RemoveButton } from './remove-button.js'

/** Rewards by answer, and by the reward that read it. */
type Scores = ReadonlyMap<Pin, Readonly<Record<string, number>>>

/** Reads the pinned answers with each reward. @throws ApiFailure */
async function read (names: readonly string[]): Promise<Scores> {
  const scores = new Map<Pin, Record<string, number>>()
  for (const pin of pins.value) {
    const of: Record<string, number> = {}
    for (const name of names) {
      of[name] = (await scoreAnswers(baseModel.value, [{ name, weight: 1 }], pin.messages, [pin.text]))[0]!
    }
    scores.set(pin, of)
  }
  return scores
}

function PinRow ({ pin, scores }: {
  readonly pin: Pin, readonly scores: Readonly<Record<string, number>> | undefined
}) {
  const { run, candidate, fate, text, tokens } = pin
  const distinct = distinctPairs(text)
  return (
    <tr>
      <th scope='row'>
        <details>
          <summary>Candidate {candidate}, {fate} <span class='muted'>{run}</span></summary>
          <Answer text={text} />
        </details>
      </th>
      {judges.value.map(name => <td key={name} class='number'>{signed(scores?.[name])}</td>)}
      <td class='number'>{count(tokens)}</td>
      <td class='number'>{count([...text].length)} ch</td>
      <td class='number'>{distinct === null ? '–' : decimal(distinct)}</td>
      <td><RemoveButton label={`Take out candidate ${candidate} of ${run}`} onClick={() => { unpin(pin) }} /></td>
    </tr>
  )
}

export function PinnedAnswers () {
  const [scores, setScores] = useState<Scores>(new Map())
  const [isReading, setReading] = useState(false)
  const [failure, setFailure] = useState<ApiFailure | null>(null)
  if (pins.value.length === 0) return null
  const readAgain = async (): Promise<void> => {
    setReading(true)
    setFailure(null)
    try {
      setScores(await read(judges.value))
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error
      setFailure(error)
    } finally {
      setReading(false)
    }
  }
  return (
    <section class='card' aria-label='Pinned answers'>
      <div class='bar-row'>
        <h2>Pinned answers <span class='muted'>of earlier runs, as they stood when they were pinned</span></h2>
        <span class='grow' />
        <button
          type='button' disabled={isReading || !isReady.value || judges.value.length === 0}
          onClick={() => { readAgain().catch(reportError) }}
        >Read again by {judges.value.join(' and ')}
        </button>
      </div>
      {failure && <Failure failure={failure} />}
      <div class='scroll' tabIndex={0} role='region' aria-label='Figures of pinned answers'>
        <table>
          <thead>
            <tr>
              <th scope='col'>answer</th>
              {judges.value.map(name => <th scope='col' key={name}>{name}</th>)}
              <th scope='col'>tokens</th>
              <th scope='col'>length</th>
              <th scope='col'>distinct-2</th>
              <td />
            </tr>
          </thead>
          <tbody>
            {pins.value.map(pin =>
              <PinRow key={`${pin.run} ${pin.candidate}`} pin={pin} scores={scores.get(pin)} />)}
          </tbody>
        </table>
      </div>
      {!haveOnePrompt(pins.value) &&
        <p class='small'>The prompts differ: rewards of answers to different prompts say little of each other.</p>}
    </section>
  )
}
