/** Replays a run: a slider over its recorded time, played at 1× or 4×, walked by step. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Entry } from '../../journal/entries.js'
import { seconds } from '../logic/formats.js'
import { onKeys } from '../state/keyboard.js'
import { prefersStill } from '../state/preferences.js'
import type { Session } from '../state/session.js'

const timeOf = (entry: Entry | undefined): number => entry && 't' in entry ? entry.t : 0

/** How many entries had been made at a time. */
function entriesAt (entries: readonly Entry[], time: number): number {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (timeOf(entries[middle]) <= time) low = middle + 1
    else high = middle
  }
  return low
}

/** Places to stop at: after each step, or each scoring where there are no steps. */
function stops (entries: readonly Entry[]): number[] {
  const after = (kind: 'step' | 'score'): number[] => entries.flatMap((entry, at) => kind in entry ? [at + 1] : [])
  const steps = after('step')
  const places = steps.length > 0 ? steps : after('score')
  return [1, ...places, entries.length]
}

/** Between two stops of a replay that must not move, ms. */
const stillEveryMs = 700

export function Scrubber ({ session }: { readonly session: Session }) {
  const [isPlaying, setPlaying] = useState(false)
  const [speed, setSpeed] = useState(1)
  const time = useRef(0)
  const { entries } = session
  const end = timeOf(entries.at(-1))
  const position = session.position.value
  const now = position === null ? end : timeOf(entries[position - 1])
  const step = (direction: 1 | -1): void => {
    const at = position ?? entries.length
    const all = stops(entries)
    session.seek((direction === 1 ? all.find(place => place > at) : all.findLast(place => place < at)) ?? at)
  }
  const play = (): void => {
    if (!isPlaying && position === null) session.seek(1)
    time.current = position === null ? 0 : now
    setPlaying(!isPlaying)
  }
  useEffect(() => {
    if (!isPlaying) return
    let [frame, last] = [0, performance.now()]
    const tick = (at: number): void => {
      time.current += (at - last) * speed
      last = at
      const next = entriesAt(entries, time.current)
      if (next !== session.position.value) session.seek(next)
      if (session.position.value === null) setPlaying(false)
      else frame = requestAnimationFrame(tick)
    }
    if (!prefersStill()) {
      frame = requestAnimationFrame(tick)
      return () => { cancelAnimationFrame(frame) }
    }
    const timer = setInterval(() => {
      const all = stops(entries)
      session.seek(all.find(place => place > (session.position.value ?? entries.length)) ?? null)
      if (session.position.value === null) setPlaying(false)
    }, stillEveryMs)
    return () => { clearInterval(timer) }
  }, [isPlaying, speed, entries])
  useEffect(() => onKeys(key => {
    const actions: Readonly<Record<string, () => void>> = {
      ' ': play, ',': () => { step(-1) }, '.': () => { step(1) }
    }
    if (!(key in actions) || (key === ' ' && document.activeElement?.closest('button, a, summary'))) return false
    actions[key]!()
    return true
  }))
  return (
    <div class='scrubber' role='group' aria-label='Replay'>
      <button type='button' aria-label={isPlaying ? 'Pause' : 'Play'} onClick={play}>{isPlaying ? '❚❚' : '▶'}</button>
      <button
        type='button' class='quiet'
        aria-label='One step back'
        onClick={() => { step(-1) }}
      >⟨
      </button>
      <input
        type='range' aria-label='Time of the run'
        min={0} max={end}
        value={now} step={1}
        aria-valuetext={`${seconds(now)} of ${seconds(end)}`}
        onInput={event => {
          setPlaying(false)
          session.seek(entriesAt(entries, Number(event.currentTarget.value)))
        }}
      />
      <button
        type='button' class='quiet'
        aria-label='One step on'
        onClick={() => { step(1) }}
      >⟩
      </button>
      <span class='number'>{seconds(now)} / {seconds(end)}</span>
      <div class='segments' role='group' aria-label='Speed'>
        {[1, 4].map(one => (
          <button
            key={one} type='button'
            aria-pressed={speed === one}
            onClick={() => { setSpeed(one) }}
          >{one}×
          </button>
        ))}
      </div>
    </div>
  )
}
