/**
 * A strategy's events with its journal: entries as they are made and, where the request asked for them, what `progress`
 * and `trace` tell, which are views of it. Knows no strategy.
 */
import type { Entry } from '../journal/entries.js'
import { Folding, type Run } from '../journal/fold.js'
import type { Recorder } from '../journal/recorder.js'
import { EventQueue } from './event-queue.js'
import type { DecodeEvent, ProgressCandidate } from './events.js'
import type { TraceStep } from './result.js'
import type { AlignmentRequest } from './strategies/strategy-schemas.js'

/** What an answer is chosen by. */
function ruleOf (alignment: AlignmentRequest): string {
  if ('selection' in alignment) return alignment.selection
  return 'final_choice' in alignment ? alignment.final_choice : 'argmax'
}

/** Passes a strategy's events on and tells the journal what was sent and chosen. */
async function forward (
  events: AsyncIterable<DecodeEvent>, journal: Recorder, alignment: AlignmentRequest | null,
  push: (event: DecodeEvent) => void
): Promise<void> {
  const sent = new Map<number, number>()
  let isChosen = false
  for await (const event of events) {
    if (event.type === 'text') {
      sent.set(event.choice, (sent.get(event.choice) ?? 0) + event.text.length)
      journal.sent(event.choice, sent.get(event.choice)!)
    } else if (event.type === 'choice-end') {
      journal.sent(event.choice, event.result.text.length, event.result.candidateIndex)
    } else if (event.type === 'selection') {
      isChosen = true
      journal.select({ chosen: event.candidateIndices, rule: ruleOf(alignment!) })
    } else if (event.type === 'end') {
      if (isChosen) journal.flush()
      else journal.select({ chosen: event.result.choices.map(({ candidateIndex }) => candidateIndex), rule: 'all' })
      // What follows is written by whoever runs the strategy.
      journal.onEntries = null
    }
    push(event)
  }
}

/** Candidates as a step left them. */
function progressOf (
  { candidates }: Run, { step, kept, dropped }: TraceStep
): Extract<DecodeEvent, { type: 'progress' }> {
  const of = (listed: TraceStep['kept'], isKept: boolean): ProgressCandidate[] => listed.map(([index, reward]) => {
    const { parent, text, ended } = candidates.get(index)!
    return { index, parent, text, reward, kept: isKept, finished: ended !== null }
  })
  return { type: 'progress', step, candidates: [...of(kept, true), ...of(dropped, false)] }
}

/** Follows the journal for what a request may have of it. */
class Views {
  readonly #folding = new Folding()
  readonly trace: TraceStep[] = []

  /** @returns what to tell of the steps among the entries */
  add (entries: readonly Entry[]): DecodeEvent[] {
    return entries.flatMap(entry => {
      this.#folding.add(entry)
      const step = this.#stepOf(entry)
      if (!step) return []
      this.trace.push(step)
      return [progressOf(this.#folding.run, step)]
    })
  }

  /** The step that an entry ends: a search's, or the one token of a guided answer. */
  #stepOf (entry: Entry): TraceStep | null {
    if ('token' in entry) {
      const [index, at, , , , , , , reward = null] = entry.token
      return { step: at + 1, kept: [[index, reward]], dropped: [] }
    }
    if (!('step' in entry)) return null
    const { n: step, kept, dropped } = this.#folding.run.steps.at(-1)!
    return { step, kept, dropped }
  }
}

/** What a request may have of its journal. */
type Viewed = Pick<AlignmentRequest, 'return_progress' | 'return_trace'>

/** Whether a request is told of its journal though it did not ask for it. */
export const hasViews = (alignment: Viewed | null): boolean =>
  alignment !== null && (alignment.return_progress || alignment.return_trace)

/** A strategy's events and its journal's entries, in order. */
export async function * recorded (
  events: AsyncGenerator<DecodeEvent, void, undefined>, journal: Recorder, alignment: AlignmentRequest | null
): AsyncGenerator<DecodeEvent, void, undefined> {
  const queue = new EventQueue<DecodeEvent>()
  const push = (event: DecodeEvent): void => { queue.push(event) }
  journal.onEntries = entries => { push({ type: 'journal', entries }) }
  queue.endWith(forward(events, journal, alignment, push))
  const views = hasViews(alignment) ? new Views() : null
  try {
    for await (const event of queue) {
      const progress = event.type === 'journal' ? views?.add(event.entries) ?? [] : []
      yield event.type === 'end' && alignment?.return_trace
        ? { ...event, result: { ...event.result, trace: views!.trace } }
        : event
      if (alignment?.return_progress) yield * progress
    }
  } finally {
    journal.onEntries = null
    // Of a strategy that is at work when nobody listens any more, the request's signal is the end.
    events.return().catch(() => {})
  }
}
