/** A request at work: what strategies have in common, from the prompt to the result. */
import type { Generation, OpenPrompt } from '../policies/policy.js'
import { Budget } from './budget.js'
import { Candidate } from './candidate.js'
import type { DecodeEvent } from './events.js'
import type { DecodingRequest } from './request.js'
import type { CandidateReport, Choice, DecodeResult, KlReport } from './result.js'

/** No claim on what a choice costs. */
export const unknownKl: KlReport = { value: null, kind: null }

export class Decoding {
  readonly request: DecodingRequest
  readonly budget: Budget
  /** Tokens drawn beyond candidates, only to score them. */
  lookAheadTokens = 0

  constructor (request: DecodingRequest, budget = new Budget(request)) {
    this.request = request
    this.budget = budget
  }

  /** Reads the prompt once. */
  openPrompt (): Promise<OpenPrompt> { return this.request.policy.open(this.request.prompt) }

  /**
   * Candidates that go on from the prompt; candidate i draws from the stream of path i.
   * @param areLast whether no others follow; they close the prompt
   * @param groupOf what each belongs to, for the journal
   */
  begin (
    prompt: OpenPrompt, first: number, count: number, areLast: boolean, groupOf?: (index: number) => number
  ): Candidate[] {
    const candidates = Array.from({ length: count }, (_, offset) => {
      const path = String(first + offset)
      const random = this.request.random(path)
      return new Candidate(this, first + offset, path, random, prompt.begin(random, areLast && offset === count - 1))
    })
    this.request.journal?.open(candidates, groupOf)
    return candidates
  }

  /** Reads the prompt and gives `count` candidates of it. */
  async openCandidates (count: number, groupOf?: (index: number) => number): Promise<Candidate[]> {
    return this.begin(await this.openPrompt(), 0, count, true, groupOf)
  }

  /**
   * Scores candidates with the request's reward, in one call.
   * @param read in their place
   */
  async score (candidates: readonly Candidate[], read?: readonly Generation[]): Promise<void> {
    await this.rate(candidates, read)
    this.request.journal?.score(candidates)
  }

  /** The same for scores that the journal has with guided tokens. */
  async rate (
    candidates: readonly Candidate[], read: readonly Generation[] = candidates.map(({ generation }) => generation)
  ): Promise<void> {
    const { scorer, prompt } = this.request
    if (!scorer) throw new Error('the strategy needs a reward')
    const answers = await Promise.all(read.map(generation => generation.answer()))
    const scores = await scorer.score(prompt, answers)
    for (const [index, candidate] of candidates.entries()) candidate.score = scores[index]!
  }

  /** Reads what answers are like, where the request compares them. They must be finished, and not closed. */
  async embed (candidates: readonly Candidate[]): Promise<void> {
    const { embeddingLayer: layer } = this.request
    if (layer === null) return
    await Promise.all(candidates.map(async candidate => {
      const { states } = await candidate.generation.answer()
      candidate.embedding = Float32Array.from(states.pooled(layer))
    }))
  }

  /**
   * The last event.
   * @param candidates every one, chosen or not, in index order
   */
  end (
    candidates: readonly CandidateReport[], choices: readonly Choice[], kl: KlReport,
    { warnings = [], details = {} }: Partial<Pick<DecodeResult, 'warnings' | 'details'>> = {}
  ): DecodeEvent {
    const result: DecodeResult = {
      choices,
      kl,
      numUnique: new Set(candidates.map(candidate => candidate.text)).size,
      stoppedBy: this.budget.stoppedBy,
      warnings,
      details,
      candidates,
      generatedTokens: this.budget.generatedTokens,
      rewardTokens: this.request.policy.rewardTokens + this.lookAheadTokens
    }
    return { type: 'end', result }
  }
}
