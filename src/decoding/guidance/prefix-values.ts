/**
 * Values tokens by a reward of prefixes: the reward reads the answer with each candidate token. A reward that looks at
 * hidden states has them probed, all tokens in one pass that goes no further than its layers; the token drawn is then
 * read as any other.
 */
import type { Score } from '../../rewards/scorer.js'
import type { Candidate, Generation } from '../candidate.js'
import type { RankedToken } from '../sampling/distribution.js'
import type { TokenValues } from './token-values.js'

/** Values of one candidate's next tokens. */
export class PrefixValues implements TokenValues {
  readonly #generation: Generation
  readonly #candidate: Candidate
  #scores = new Map<number, Score>()

  constructor (generation: Generation, candidate: Candidate) {
    this.#generation = generation
    this.#candidate = candidate
  }

  async of (candidates: readonly RankedToken[]): Promise<number[]> {
    const { runtime, prompt } = this.#generation
    const answers = await Promise.all(candidates.map(({ token }) => this.#candidate.extended(token)))
    const scores = await runtime.scorer!.score(prompt, answers)
    this.#scores = new Map(candidates.map(({ token }, index) => [token, scores[index]!]))
    return scores.map(score => score.value)
  }

  async accept (token: number): Promise<void> {
    const candidate = this.#candidate
    // Of the prefix with the token; null for one that was not looked at.
    candidate.score = this.#scores.get(token) ?? null
    if (candidate.accept(token)) await candidate.feed()
  }

  close (): void {}
}
