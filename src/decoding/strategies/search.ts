/**
 * The mechanics of searches that fork: growing to the end of a step, children, dropping, the text that all survivors
 * agree on, events of each step and of the end. Each search decides by itself who survives.
 */
import type { Recorder } from '../../journal/recorder.js'
import type { Candidate } from '../candidate.js'
import { eligible } from '../candidate.js'
import { growAll } from '../budget-split.js'
import { Decoding, unknownKl } from '../decoding.js'
import type { DecodeEvent } from '../events.js'
import type { DecodingRequest } from '../request.js'
import type { CandidateReport, DecodeResult, KlReport } from '../result.js'
import { choose } from '../selection/choose.js'
import { reported, TextStream } from '../streaming.js'
import type { ChoosingParams, StepParams } from './strategy-schemas.js'

/** Grows candidates by steps, side by side, as far as their answers and the budget go. */
export function growSteps (
  { budget }: Decoding, candidates: readonly Candidate[], { tokens, delimiter }: StepParams, count = 1
): Promise<void> {
  return growAll(budget, candidates,
    tokens === undefined ? { delimiter: { text: delimiter!, times: count } } : { tokens: tokens * count })
}

/** Frees those that nothing more is drawn for. */
export function closeFinished (candidates: readonly Candidate[]): void {
  for (const candidate of candidates) if (candidate.isFinished) candidate.close()
}

/** Every candidate of a search: numbers new ones and remembers what became of the others, not their KV. */
export class Population {
  readonly #request: DecodingRequest
  #next: number
  readonly #stride: number
  #forks = 0
  readonly #dropped: CandidateReport[] = []

  /**
   * @param next index of the next candidate
   * @param stride between indices, where several populations number theirs side by side
   */
  constructor (request: DecodingRequest, next: number, stride = 1) {
    this.#request = request
    this.#next = next
    this.#stride = stride
  }

  /** Takes the next indices, for candidates that are opened anew. @returns the first */
  take (count: number): number {
    const first = this.#next
    this.#next += count * this.#stride
    return first
  }

  /** A copy with its own random stream. */
  fork (parent: Candidate): Candidate {
    const path = `${parent.path}.${++this.#forks}`
    return parent.fork(this.take(1), path, this.#request.random(path))
  }

  /** Continuations of a candidate: the first is the candidate itself, whose random stream goes on. */
  expand (parent: Candidate, count: number): Candidate[] {
    return [parent, ...Array.from({ length: count - 1 }, () => this.fork(parent))]
  }

  /** Frees candidates. @param step at which they were dropped */
  drop (candidates: readonly Candidate[], step: number): void {
    for (const candidate of candidates) {
      candidate.prunedAt = step
      candidate.close()
      this.#dropped.push(candidate.report())
    }
  }

  /** Reports of everyone. @param kept those that were not dropped */
  reports (kept: readonly Candidate[]): CandidateReport[] {
    return [...this.#dropped, ...kept.map(candidate => candidate.report())].sort((a, b) => a.index - b.index)
  }
}

/** The longest text that all candidates begin with, whatever becomes of them. */
function agreedText (candidates: readonly Candidate[]): string {
  const [first, ...others] = candidates.map(candidate => candidate.certainText)
  let length = first!.length
  for (const other of others) {
    let common = 0
    while (common < Math.min(length, other.length) && other[common] === first![common]) common++
    length = common
  }
  // Half of a surrogate pair is not text.
  const last = first!.charCodeAt(length - 1)
  return first!.slice(0, last >= 0xD800 && last < 0xDC00 ? length - 1 : length)
}

/** A search that returns one answer. */
export class Search {
  readonly decoding: Decoding
  readonly population: Population
  readonly #stream = new TextStream(0)
  /** Steps so far. */
  steps = 0

  /** @param first index of the first candidate that is not opened with the prompt */
  constructor (request: DecodingRequest, first: number) {
    this.decoding = new Decoding(request)
    this.population = new Population(request, first)
  }

  /**
   * Tells what a step left.
   * @param kept those that go on, or have ended and may be returned
   * @param dropped those that the step dropped
   * @param survivors all that may be returned, or become what is; null where nothing may be shown yet
   * @param more what the journal tells of the step beside
   */
  * endStep (
    kept: readonly Candidate[], dropped: readonly Candidate[], survivors: readonly Candidate[] | null = kept,
    more: Parameters<Recorder['step']>[3] = {}
  ): Generator<DecodeEvent> {
    yield * reported(dropped)
    this.decoding.request.journal?.step(this.steps, kept, dropped, more)
    if (survivors) yield * this.#stream.next(agreedText(survivors), [])
  }

  /** Returns a candidate. @param kept all that were not dropped */
  * end (
    chosen: Candidate, kept: readonly Candidate[], kl: KlReport,
    more: Partial<Pick<DecodeResult, 'warnings' | 'details'>> = {}
  ): Generator<DecodeEvent> {
    const choice = chosen.choice()
    yield { type: 'selection', candidateIndices: [choice.candidateIndex] }
    yield * this.#stream.finish(choice)
    yield this.decoding.end(this.population.reports(kept), [choice], kl, more)
  }

  /** Chooses among the answers. */
  endByChoosing (answers: readonly Candidate[], params: ChoosingParams): Generator<DecodeEvent> {
    const rivals = eligible([...answers].sort((a, b) => a.index - b.index))
    const chosen = choose(rivals, params, 1, this.decoding.request.random('selection'))
    return this.end(rivals[chosen.positions[0]!]!, answers, unknownKl, chosen)
  }
}
