/** Events by which strategies hand over text and tell what became of candidates. */
import type { Candidate } from './candidate.js'
import { EventQueue } from './event-queue.js'
import type { DecodeEvent } from './events.js'
import type { Choice } from './result.js'

/** Sends a choice's text as it becomes certain. */
export class TextStream {
  readonly #choice: number
  #sent = 0
  #sentLogprobs = 0

  constructor (choice: number) { this.#choice = choice }

  /**
   * What is new in `text`, the certain text so far: one event or none. Logprobs of tokens without text wait for the
   * next text.
   * @param isLast whether nothing follows, so that such logprobs are sent too
   */
  * next (text: string, logprobs: Choice['logprobs'], isLast = false): Generator<DecodeEvent> {
    if (text.length <= this.#sent && !(isLast && logprobs.length > this.#sentLogprobs)) return
    const event: DecodeEvent = {
      type: 'text', choice: this.#choice, text: text.slice(this.#sent), logprobs: logprobs.slice(this.#sentLogprobs)
    }
    this.#sent = text.length
    this.#sentLogprobs = logprobs.length
    yield event
  }

  /** Hands over a finished choice: what of its text was not sent yet, and its end. */
  * finish (choice: Choice): Generator<DecodeEvent> {
    yield * this.next(choice.text, choice.logprobs, true)
    yield { type: 'choice-end', choice: this.#choice, result: choice }
  }
}

/** Events of work that tells them as they happen, as one stream. It fails as the work does. */
export function eventsOf (work: (tell: (events: Iterable<DecodeEvent>) => void) => Promise<unknown>
): AsyncIterable<DecodeEvent> {
  const queue = new EventQueue<DecodeEvent>()
  queue.endWith(work(events => { for (const event of events) queue.push(event) }))
  return queue
}

/** What became of candidates. */
export const reported = (candidates: readonly Candidate[]): DecodeEvent[] =>
  candidates.map(candidate => ({ type: 'candidate', candidate: candidate.report() }))
