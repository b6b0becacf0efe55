/** Teach, step 2: which of two answers is better, again and again. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Dialog } from '../../parts/dialog.js'
import { Failure } from '../../parts/failure.js'
import { PairVote } from '../../parts/pair-vote.js'
import { saveFile } from '../../parts/save.js'
import { fitPairs, pairLines, readPairLines, type Rating, type Verdict } from '../../logic/ratings.js'
import { fewestHeldOut } from '../../logic/verdict.js'
import { isReady } from '../../server/link.js'
import { onKeys } from '../../state/keyboard.js'
import { say } from '../../state/status.js'
import { changeSet, currentSet, PairQueue, type Drawn } from '../../state/teach.js'

/** Pairs that a fit needs, and that its card needs to mean something: it goes by the fifth that is held out. */
export const enough = { fit: 20, card: 5 * fewestHeldOut } as const

function Progress () {
  const pairs = fitPairs(currentSet.value).length
  const goal = pairs < enough.fit ? enough.fit : enough.card
  return (
    <div class='progress'>
      <progress max={goal} value={Math.min(pairs, goal)} aria-label='Pairs rated' />
      <span class='small'>{pairs} pairs · {enough.fit} = can fit · {enough.card} = the card means something</span>
    </div>
  )
}

/** An answer put into better words: the new text is chosen, the old one rejected. */
function Edit ({ pair, onDone, onClose }: {
  readonly pair: Drawn
  readonly onDone: (rating: Pick<Rating, 'left' | 'right' | 'verdict'>) => void
  readonly onClose: () => void
}) {
  const [text, setText] = useState(pair.left)
  const [original, setOriginal] = useState<'left' | 'right'>('left')
  return (
    <Dialog title='Put an answer into better words' onClose={onClose}>
      <form onSubmit={event => {
        event.preventDefault()
        onDone({ left: text, right: pair[original], verdict: 'left' })
      }}
      >
        <div class='segments' role='group' aria-label='Answer'>
          {(['left', 'right'] as const).map(side => (
            <button
              key={side} type='button'
              aria-pressed={original === side} onClick={() => {
                setOriginal(side)
                setText(pair[side])
              }}
            >{side}
            </button>
          ))}
        </div>
        <label class='field'>Your words are kept as the better answer, the original as the worse one
          <textarea rows={8} value={text} onInput={event => { setText(event.currentTarget.value) }} />
        </label>
        <button type='submit' class='primary' disabled={text.trim() === '' || text === pair[original]}>Keep</button>
      </form>
    </Dialog>
  )
}

function Files () {
  const input = useRef<HTMLInputElement>(null)
  const [problem, setProblem] = useState('')
  const set = currentSet.value
  const read = async (file: File): Promise<void> => {
    try {
      const more = readPairLines(await file.text())
      changeSet({
        ratings: [...set.ratings, ...more], prompts: [...new Set([...set.prompts, ...more.map(one => one.prompt)])]
      })
      setProblem('')
      say(`${more.length} pairs read.`, true)
    } catch (error) {
      setProblem(`${file.name}: ${(error as Error).message}`)
    }
  }
  return (
    <div class='bar-row small'>
      <span>Kept in this browser.</span>
      <button
        type='button' class='link'
        disabled={fitPairs(set).length === 0}
        onClick={() => { saveFile(`${set.name}.pairs.jsonl`, pairLines(set)) }}
      >Export the pairs
      </button>
      <button type='button' class='link' onClick={() => { input.current!.click() }}>Import pairs</button>
      <input
        ref={input} type='file'
        hidden accept='.jsonl'
        aria-label='Import pairs' onChange={event => {
          const file = event.currentTarget.files?.[0]
          if (file) read(file).catch(reportError)
        }}
      />
      {problem !== '' && <p class='error' role='alert'>{problem}</p>}
    </div>
  )
}

export function Rate ({ onNext }: { readonly onNext: () => void }) {
  const queue = useMemo(() => new PairQueue(), [currentSet.value.name])
  const shownAt = useRef(0)
  const [isEditing, setEditing] = useState(false)
  const pair = queue.pair.value
  useEffect(() => () => { queue.close() }, [queue])
  useEffect(() => { if (isReady.value && !queue.pair.peek()) queue.next().catch(reportError) }, [queue, isReady.value])
  useEffect(() => { shownAt.current = performance.now() }, [pair])
  const keep = (rating: Pick<Rating, 'left' | 'right' | 'verdict'>): void => {
    if (!pair) return
    const { left, right, verdict } = rating
    // What was put into other words was never predicted.
    const { predicted, ...others } = pair
    const isShown = left === pair.left && right === pair.right
    const ms = Math.round(performance.now() - shownAt.current)
    changeSet({
      ratings: [...currentSet.value.ratings,
        { ...others, ...(isShown && predicted ? { predicted } : {}), left, right, verdict, ms }]
    })
    queue.next().catch(reportError)
  }
  const vote = (verdict: Verdict): void => { if (pair) keep({ left: pair.left, right: pair.right, verdict }) }
  const undo = (): boolean => {
    const last = currentSet.value.ratings.at(-1)
    if (!last) return false
    changeSet({ ratings: currentSet.value.ratings.slice(0, -1) })
    queue.showAgain(last)
    say('The last rating was taken back.', true)
    return true
  }
  useEffect(() => onKeys(key => {
    if (key === 'u') return undo()
    if (key !== 'e' || !queue.pair.peek()) return false
    setEditing(true)
    return true
  }), [queue])
  const canFit = fitPairs(currentSet.value).length >= enough.fit
  return (
    <section class='card step' aria-label='Rate'>
      {queue.failure.value
        ? (
          <>
            <Failure failure={queue.failure.value} />
            <button type='button' onClick={() => { queue.next().catch(reportError) }}>Try again</button>
          </>
          )
        : pair
          ? <PairVote
              key={pair.left + pair.right} prompt={pair.prompt}
              left={pair.left}
              right={pair.right} onVote={vote}
            />
          : (
            <p class='empty' aria-busy='true'>
              {isReady.value ? 'Two answers are being drawn…' : 'The server is not ready.'}
            </p>
            )}
      <div class='bar-row'>
        <button
          type='button' class='link'
          disabled={currentSet.value.ratings.length === 0}
          onClick={undo}
        >undo <kbd>U</kbd>
        </button>
        <button
          type='button' class='link'
          disabled={!pair}
          onClick={() => { setEditing(true) }}
        >edit an answer <kbd>E</kbd>
        </button>
        <span class='grow' />
        <button
          type='button' class={canFit ? 'primary' : ''}
          disabled={!canFit}
          onClick={onNext}
        >Fit a reward →
        </button>
      </div>
      <Progress />
      <Files />
      {isEditing && pair && <Edit
        pair={pair} onClose={() => { setEditing(false) }}
        onDone={rating => {
          setEditing(false)
          keep(rating)
        }}
                            />}
    </section>
  )
}
