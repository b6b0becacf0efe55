/**
 * The mechanics of searches that fork: growing to the end of a step, children, dropping, the text that all survivors
 * agree on. Each search decides by itself who survives.
 */
import type { Candidate, Generation } from '../candidate.js'
import { retire } from '../generation.js'
import { after, growAll } from '../budget-split.js'
import type { StepParams } from './strategy-schemas.js'
import type { CandidateReport } from '../runtime.js'

/** Whether a step's text holds its delimiter after something else: a step without content is none. */
const endsStep = (text: string, delimiter: string): boolean => {
  const content = text.length - text.trimStart().length
  return content < text.length && text.includes(delimiter, content)
}

/** Done with the token in which a delimiter ends so many steps. */
function afterSteps (candidate: Candidate, delimiter: string, count: number): () => boolean {
  let [from, left] = [candidate.text.length, count]
  return () => {
    if (!endsStep(candidate.text.slice(from), delimiter)) return false
    from = candidate.text.length
    return --left === 0
  }
}

/** Grows candidates by steps, side by side, as far as their answers and the budget go. */
export function growSteps (
  { budget }: Generation, candidates: readonly Candidate[], { tokens, delimiter }: StepParams, count = 1
): Promise<void> {
  return growAll(budget, candidates, candidate =>
    tokens === undefined ? afterSteps(candidate, delimiter!, count) : after(tokens * count))
}

/** Every candidate of a search: numbers new ones and remembers what became of the others, not their KV. */
export class Population {
  readonly #generation: Generation
  #next: number
  readonly #stride: number
  #forks = 0
  readonly #dropped: CandidateReport[] = []

  /**
   * @param next index of the next candidate
   * @param stride between indices, where several populations number theirs side by side
   */
  constructor (generation: Generation, next: number, stride = 1) {
    this.#generation = generation
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
    const index = this.take(1)
    const path = `${parent.path}.${++this.#forks}`
    return parent.fork(index, path, this.#generation.runtime.random(path))
  }

  /** Continuations of a candidate: the first is the candidate itself, whose random stream goes on. */
  expand (parent: Candidate, count: number): Candidate[] {
    return [parent, ...Array.from({ length: count - 1 }, () => this.fork(parent))]
  }

  /** Frees a candidate's KV. @param step at which it was dropped */
  drop (candidate: Candidate, step: number): CandidateReport {
    candidate.prunedAt = step
    retire(candidate)
    const report = candidate.report()
    this.#dropped.push(report)
    return report
  }

  /** Reports of everyone. @param kept those that were not dropped */
  reports (kept: readonly Candidate[]): CandidateReport[] {
    return [...this.#dropped, ...kept.map(candidate => candidate.report())].sort((a, b) => a.index - b.index)
  }
}

/** The longest text that all candidates begin with, whatever becomes of them. */
export function agreedText (candidates: readonly Candidate[]): string {
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
