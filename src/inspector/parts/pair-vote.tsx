/** Two answers side by side, and which is better: one click or key. Sides say nothing of where answers are from. */
import { useEffect } from 'preact/hooks'
import type { Verdict } from '../logic/ratings.js'
import { onKeys } from '../state/keyboard.js'
import { Answer } from './answer.js'

interface PairProps {
  readonly prompt: string
  readonly left: string
  readonly right: string
  readonly isDisabled?: boolean
  readonly onVote: (verdict: Verdict) => void
}

const keys: Readonly<Record<string, Verdict>> = {
  1: 'left', ArrowLeft: 'left', 2: 'right', ArrowRight: 'right', 0: 'same', ArrowDown: 'same', s: 'skip'
}

export function PairVote ({ prompt, left, right, isDisabled = false, onVote }: PairProps) {
  useEffect(() => onKeys(key => {
    const verdict = keys[key]
    if (verdict === undefined || isDisabled) return false
    onVote(verdict)
    return true
  }), [onVote, isDisabled])
  return (
    <div class='pair-vote'>
      <p class='prompt'><span class='muted'>Prompt</span> <bdi dir='auto'>{prompt}</bdi></p>
      <div class='two'>
        <article class='card' aria-label='Left answer'>
          <h3>1 <span class='muted'>←</span></h3><Answer text={left} />
        </article>
        <article class='card' aria-label='Right answer'>
          <h3>2 <span class='muted'>→</span></h3><Answer text={right} />
        </article>
      </div>
      <div class='votes' role='group' aria-label='Which is better?'>
        <button
          type='button' class='big'
          disabled={isDisabled}
          onClick={() => { onVote('left') }}
        >← left is better
        </button>
        <button type='button' disabled={isDisabled} onClick={() => { onVote('same') }}>↓ about the same</button>
        <button
          type='button' class='big'
          disabled={isDisabled}
          onClick={() => { onVote('right') }}
        >right is better →
        </button>
        <button
          type='button' class='link'
          disabled={isDisabled}
          onClick={() => { onVote('skip') }}
        >skip <kbd>S</kbd>
        </button>
      </div>
    </div>
  )
}
