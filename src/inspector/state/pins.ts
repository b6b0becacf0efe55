/** The answers that are pinned for Compare, until the page is closed. */
import { signal } from '@preact/signals'
import type { Lineage, Run } from '../../journal/fold.js'
import { isPinOf, mostPins, pinOf, type Pin } from '../logic/pins.js'
import { say } from './status.js'

export const pins = signal<readonly Pin[]>([])

export const isPinned = (run: Run, index: number): boolean => pins.value.some(pin => isPinOf(pin, run, index))

export function unpin (pin: Pin): void { pins.value = pins.value.filter(one => one !== pin) }

/** Pins an answer, or takes the pin out. The line of status says what came of it. */
export function togglePin (run: Run, lineage: Lineage): void {
  const pinned = pins.value.find(pin => isPinOf(pin, run, lineage.index))
  if (pinned) {
    unpin(pinned)
    say(`Candidate ${lineage.index} is pinned no more.`, true)
    return
  }
  const pin = pinOf(run, lineage)
  if (typeof pin === 'string' || pins.value.length >= mostPins) {
    say(typeof pin === 'string' ? pin : `${mostPins} answers are pinned: take one out first.`, true)
    return
  }
  pins.value = [...pins.value, pin]
  say(`Candidate ${lineage.index} is pinned for Compare.`, true)
}
