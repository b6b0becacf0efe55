/** One answer of a request: what is drawn of it, what it scores, what became of it. Knows no strategy. */
import type { Recorder } from '../journal/recorder.js'
import type { TokenLogprob } from '../policies/drawn-token.js'
import type { Generation } from '../policies/policy.js'
import type { Random } from '../policies/random-stream.js'
import type { StopCondition } from '../policies/stop-condition.js'
import type { FinishReason } from '../policies/transcript.js'
import type { Score } from '../rewards/scorer.js'
import type { Budget } from './budget.js'
import type { CandidateReport, Choice } from './result.js'

/** Called after each token; true gives the candidate up where it is. */
export type OnToken = (candidate: Candidate) => boolean | void

/** What candidates are grown on. */
interface Limited {
  readonly budget: Budget
  readonly request: { readonly signal: AbortSignal, readonly journal: Recorder | null }
}

export class Candidate {
  readonly index: number
  /** Index of the candidate it was forked from; null for one drawn from the prompt on. */
  readonly parent: number | null
  /** Path of the random stream; forks extend it. */
  readonly path: string
  readonly random: Random
  readonly generation: Generation
  /** Step at which a search dropped it. */
  prunedAt: number | null = null
  score: Score | null = null
  /** Whether it was ended where it was, as a budget does. */
  isCutShort = false
  /** Mean hidden state of the whole answer, where the request compares answers. */
  embedding: Float32Array | null = null
  readonly #limited: Limited

  constructor (
    limited: Limited, index: number, path: string, random: Random, generation: Generation, parent: number | null = null
  ) {
    this.#limited = limited
    this.index = index
    this.parent = parent
    this.path = path
    this.random = random
    this.generation = generation
  }

  get text (): string { return this.generation.transcript.text }
  /** Text that is certain to be part of the answer. */
  get certainText (): string { return this.generation.transcript.certainText }
  get logprobs (): readonly TokenLogprob[] { return this.generation.transcript.logprobs }
  /** Sum of the drawn tokens' raw logprobs, end token included, nats. */
  get logprob (): number { return this.generation.transcript.logprob }
  /** Tokens drawn, end token included. */
  get drawn (): number { return this.generation.transcript.drawn }
  get finishReason (): FinishReason | null { return this.generation.transcript.finishReason }
  get isFinished (): boolean { return this.generation.transcript.isFinished }
  /**
   * Whether it was ended before its first token, as a budget that is used up does: it is empty, and not because the
   * model would have it so.
   */
  get isUnbegun (): boolean { return this.isFinished && this.drawn === 0 }

  /** Ends the answer where it is, as a budget does. */
  end (): void {
    if (this.isFinished) return
    this.isCutShort = true
    this.generation.transcript.end()
  }

  /**
   * Draws tokens until the stop condition is met, the answer ends, which a budget that is used up does, too, or `max`
   * are drawn.
   * @returns whether it is done: the stop condition was met, or it was given up
   */
  async grow (until: StopCondition, max = Infinity, onToken?: OnToken): Promise<boolean> {
    const { budget, request: { signal, journal } } = this.#limited
    const limit = budget.isUsedUp() ? 0 : Math.min(max, budget.left)
    const extension = this.generation.extend(until, limit, signal)
    for (let next = await extension.next(); ; next = await extension.next()) {
      if (next.done) {
        if (!next.value && !this.isFinished && limit < max && budget.isUsedUp()) this.end()
        return next.value
      }
      budget.use()
      journal?.drew(this)
      if (onToken?.(this)) {
        await extension.return(true)
        return true
      }
      if (!this.isFinished && budget.isPastDeadline()) this.end()
    }
  }

  /**
   * A copy that goes on independently.
   * @param index of the copy; the same where it takes this one's place
   */
  fork (index: number, path: string, random: Random): Candidate {
    const copy = new Candidate(this.#limited, index, path, random, this.generation.fork(random),
      index === this.index ? this.parent : this.index)
    this.#limited.request.journal?.fork(copy, this)
    return copy
  }

  /** Frees what it holds; nothing more is drawn for it. */
  close (): void { this.generation.close() }

  report (): CandidateReport {
    const { index, parent, text, drawn: tokens, finishReason, prunedAt, score, logprob } = this
    return { index, parent, text, tokens, finishReason, prunedAt, score, logprob }
  }

  choice (): Choice {
    const { index: candidateIndex, text, finishReason, drawn: completionTokens, logprob, score, logprobs } = this
    return {
      candidateIndex,
      text,
      finishReason: finishReason ?? 'length',
      completionTokens,
      logprob,
      score,
      logprobs,
      tokenIds: this.generation.transcript.tokenIds
    }
  }
}

/** Descending score, ties by lower index; after all others those that were never begun. */
export const byScore = (a: Candidate, b: Candidate): number => Number(a.isUnbegun) - Number(b.isUnbegun) ||
  b.score!.value - a.score!.value || a.index - b.index

/** Candidates that may be chosen: of those that were never begun only as many as it takes to have `min`. */
export function eligible (candidates: readonly Candidate[], min = 1): Candidate[] {
  const begun = candidates.filter(candidate => !candidate.isUnbegun)
  const unbegun = candidates.filter(candidate => candidate.isUnbegun)
  return [...begun, ...unbegun.slice(0, Math.max(0, min - begun.length))]
}
