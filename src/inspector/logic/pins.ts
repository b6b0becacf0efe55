/** Answers of runs that are pinned, to be read again by one reward in Compare. */
import type { Lineage, Run } from '../../journal/fold.js'
import { fateText } from './lineages.js'
import { draftOf, messagesOf, type Message } from './request.js'

/** A pinned answer, as it stood when it was pinned. */
export interface Pin {
  /** Its run's id, and its index there. */
  readonly run: string
  readonly candidate: number
  readonly fate: string
  readonly text: string
  readonly tokens: number
  /** What it was asked with, without what was put into its mouth. */
  readonly messages: readonly Message[]
}

/** The most that are pinned at a time. */
export const mostPins = 12

export const isPinOf = (pin: Pin, run: Run, index: number): boolean =>
  pin.run === run.head?.id && pin.candidate === index

/** @returns a sentence that says why where it cannot be pinned */
export function pinOf (run: Run, lineage: Lineage): Pin | string {
  const { head } = run
  if (!head || lineage.text === '') return `Candidate ${lineage.index} has no text to pin.`
  if ((head.redacted ?? []).some(path => /^request\.(messages|prompt|input|instructions)/.test(path))) {
    return 'Its prompt was left out of the file: it cannot be read again.'
  }
  const { messages } = head.request
  const asked = Array.isArray(messages) ? messages as readonly Message[] : messagesOf(draftOf(head.request))
  return {
    run: head.id,
    candidate: lineage.index,
    fate: fateText(run, lineage),
    text: lineage.text,
    tokens: lineage.tokens,
    messages: asked.filter(({ role }) => role !== 'assistant')
  }
}

/** Whether the answers are to one prompt: others’ rewards say nothing of each other. */
export const haveOnePrompt = (pins: readonly Pin[]): boolean =>
  new Set(pins.map(({ messages }) => JSON.stringify(messages))).size <= 1
