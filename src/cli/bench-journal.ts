/**
 * What a journal costs: the recorder's own work for candidates that grow side by side, beside the time that the engine
 * takes to draw their tokens; and how large the journal becomes.
 */
import { Recorder, type Recordable } from '../journal/recorder.js'
import { JournalWriter, lineOf } from '../journal/wire.js'

/** Characters of a token of English, on average. */
const charactersPerToken = 4.6

/** An answer that grows, as the recorder sees one. */
class Growing implements Recordable {
  readonly index: number
  readonly parent = null
  drawn = 0
  text = ''
  logprob = 0
  finishReason: 'length' | null = null
  readonly isCutShort = false
  readonly prunedAt = null
  score: Recordable['score'] = null

  constructor (index: number) { this.index = index }

  get certainText (): string { return this.text }

  grow (source: string): void {
    const at = Math.round(this.drawn * charactersPerToken)
    const to = Math.round(++this.drawn * charactersPerToken)
    for (let place = at; place < to; place++) this.text += source[(this.index * 997 + place) % source.length]!
    this.logprob -= 2
  }
}

export interface JournalCost {
  /** What recording took, and the same work without it, ms. */
  readonly recordedMs: number
  readonly plainMs: number
  /** Of the journal's entries in a file. */
  readonly bytes: number
}

/**
 * Grows candidates to their end with a journal and without.
 * @param source text that they are made of
 * @param tokenMs how long the engine takes for a token of each, which says how often growth is told
 */
export function journalCost (candidates: number, tokens: number, source: string, tokenMs: number): JournalCost {
  let bytes = 0
  const grow = (isRecorded: boolean): number => {
    let clock = 0
    const started = performance.now()
    const writer = new JournalWriter()
    const recorder = isRecorded ? new Recorder({ now: () => clock }) : null
    const growing = Array.from({ length: candidates }, (_, index) => new Growing(index))
    const write = (): void => {
      if (recorder) for (const entry of writer.write(recorder.take())) bytes += Buffer.byteLength(lineOf(entry))
    }
    recorder?.open(growing)
    for (let token = 0; token < tokens; token++) {
      clock += tokenMs
      for (const one of growing) {
        one.grow(source)
        recorder?.drew(one)
      }
      write()
    }
    for (const one of growing) {
      one.finishReason = 'length'
      one.score = { value: one.index / 7, rewards: {} }
      recorder?.score([one])
    }
    write()
    return performance.now() - started
  }
  // Both are compiled by then.
  grow(false)
  grow(true)
  bytes = 0
  return { plainMs: grow(false), recordedMs: grow(true), bytes }
}
