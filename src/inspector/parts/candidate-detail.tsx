/** One candidate: how it stands, and its answer by token. */
import { useEffect, useState } from 'preact/hooks'
import type { RewardScores } from '../logic/api-types.js'
import type { Lineage, Run } from '../../journal/fold.js'
import { decimal, plural, signed } from '../logic/formats.js'
import { fateOf, fateText, glyphs, tokensOf, type Token } from '../logic/lineages.js'
import type { Message } from '../logic/request.js'
import {
  figuresOf, readingOf, tintNames, tintScale, tintSources, tintsOf, type Reading, type Tint
} from '../logic/tints.js'
import { ApiFailure, call } from '../server/http.js'
import { isReady } from '../server/link.js'
import { Answer } from './answer.js'
import { MenuButton } from './candidate-menu.js'
import { Failure } from './failure.js'
import { TokenText } from './token-text.js'

interface DetailProps {
  /** The run, in another object whenever it has changed. */
  readonly shown: { readonly run: Run }
  readonly lineage: Lineage
  /** Goes on from a token of this candidate; absent where nothing can be asked. */
  readonly onContinue?: (before: string, at: number) => void
}

/** Reads an answer again with the run's rewards, after every token. @throws ApiFailure */
async function readAgain (run: Run, answer: string): Promise<Reading> {
  const { model, request } = run.head!
  const { rewards } = run.start!
  const messages = (request['messages'] as readonly Message[]).filter(({ role }) => role !== 'assistant')
  const { data } = await call<RewardScores>('/v1/rewards/score', {
    body: {
      model: model.split(':')[0],
      rewards: rewards.map(([name, , , weight]) => ({ name, weight })),
      member: 'prefix',
      every: 1,
      input: [{ messages, answer }]
    }
  })
  return readingOf(answer, data[0]!)
}

function Parts ({ run, lineage }: { readonly run: Run, readonly lineage: Lineage }) {
  const { rewards = [] } = run.start ?? {}
  if (lineage.parts.length < 2 && !lineage.parts.some(([, , std]) => std)) return null
  return (
    <ul class='parts'>
      {lineage.parts.map(([, standardized, std], at) => (
        <li key={at}>{rewards[at]?.[0]} × {rewards[at]?.[3]}: {signed(standardized)}
          {typeof std === 'number' && ` ± ${decimal(std)}`}
        </li>
      ))}
    </ul>
  )
}

/** What guidance has spent of its budget. */
function KlMeter ({ run, tokens }: { readonly run: Run, readonly tokens: readonly Token[] }) {
  const budget = run.start?.resolved['max_kl']
  const guided = tokens.flatMap(one => one.guided ? [one.guided] : [])
  if (guided.length === 0) return null
  const spent = guided.reduce((sum, [, , , , kl]) => sum + (kl ?? 0), 0)
  const ended = guided.find(([, , , , , share]) => share < 1)?.[1]
  if (typeof budget !== 'number') return <p class='small'>KL spent along this answer: {decimal(spent)} nats</p>
  return (
    <p class='small'>
      <meter
        min={0} max={budget}
        value={Math.min(spent, budget)}
        aria-hidden='true'
      /> KL {decimal(spent)} of {' '}
      {decimal(budget)} nats{ended !== undefined && `; guidance weakens from token ${ended}`}
    </p>
  )
}

export function CandidateDetail ({ shown: { run }, lineage, onContinue }: DetailProps) {
  const [tint, setTint] = useState<Tint>('none')
  const [reading, setReading] = useState<Reading | null>(null)
  const [failure, setFailure] = useState<ApiFailure | null>(null)
  const { index, reward, tokens, text, parent, at, lnPolicy } = lineage
  useEffect(() => {
    setReading(null)
    setFailure(null)
  }, [text])
  const canRead = isReady.value && (run.start?.rewards.length ?? 0) > 0 && run.head !== null && text !== ''
  const recorded = tokensOf(run, lineage)
  const read = reading?.pieces.map((piece): Token => ({ piece, lnPolicy: null, guided: null }))
  const isRead = tint === 'reward' && read !== undefined
  const list = isRead ? read : recorded
  const figures = figuresOf(tint, list ?? [], reading?.changes ?? null)
  const choose = async (next: Tint): Promise<void> => {
    setTint(next)
    if (next !== 'reward' || reading) return
    try {
      setReading(await readAgain(run, text))
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error
      setFailure(error)
    }
  }
  const goOn = onContinue && list
    ? (place: number, piece: string): void => {
        onContinue(list.slice(0, place).map(one => one.piece).join('') + piece, place)
      }
    : undefined
  return (
    <section class='detail' aria-label={`Candidate ${index}`}>
      <div class='dialog-head'>
        <h2>{glyphs[fateOf(run, lineage)]} Candidate {index} <span class='muted'>{fateText(run, lineage)}</span></h2>
        <MenuButton index={index} />
      </div>
      <p class='small'>
        reward {signed(reward)} · {plural(tokens, 'token')}
        {lnPolicy !== null && tokens > 0 && ` · ln π ${decimal(lnPolicy, 1)} (${decimal(lnPolicy / tokens)} a token)`}
        {parent !== null && ` · forked from ${parent} at token ${at}`}
        {lineage.weight !== null && ` · weight ${decimal(lineage.weight, 3)}`}
      </p>
      <Parts run={run} lineage={lineage} />
      {list && <KlMeter run={run} tokens={list} />}
      {(recorded !== null || canRead) && (
        <fieldset class='tints'>
          <legend>colour by</legend>
          {tintsOf(recorded ?? [], canRead).map(one => (
            <label key={one}>
              <input
                type='radio' name='tint'
                checked={tint === one}
                onChange={() => { choose(one).catch(reportError) }}
              />
              {tintNames[one]}
            </label>
          ))}
        </fieldset>
      )}
      {failure && <Failure failure={failure} />}
      {tint !== 'none' && list && (
        <p class='legend'>
          {tintSources[tint]}: −{decimal(tintScale(figures))}
          {[-3, -2, -1, 0, 1, 2, 3].map(step => <i key={step} class={`swatch s${step}`} aria-hidden='true' />)}
          +{decimal(tintScale(figures))}
          {isRead && `. The changes add up to ${signed(reading!.reward)}, the reward of the whole.`}
        </p>
      )}
      {list
        ? <TokenText
            key={`${index} ${isRead}`} tokens={list}
            figures={figures} figureName={tintNames[tint]}
            {...(goOn ? { onContinue: goOn } : {})}
          />
        : <Answer text={text} />}
    </section>
  )
}
