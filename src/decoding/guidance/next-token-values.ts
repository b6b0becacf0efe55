/**
 * Values tokens by a reward's next-token member, which says without a pass what the answer would score with each.
 * Ending the answer is worth what it scores as it stands. After each token the reward reads the answer, which costs no
 * pass either.
 */
import type { Candidate, Generation } from '../candidate.js'
import type { RankedToken } from '../sampling/distribution.js'
import { scoreAll } from '../generation.js'
import type { TokenValues } from './token-values.js'

/** Values of one candidate's next tokens. */
export class NextTokenValues implements TokenValues {
  readonly #generation: Generation
  readonly #candidate: Candidate

  constructor (generation: Generation, candidate: Candidate) {
    this.#generation = generation
    this.#candidate = candidate
  }

  async of (candidates: readonly RankedToken[]): Promise<number[]> {
    const candidate = this.#candidate
    if (!candidate.score) await scoreAll(this.#generation, [candidate])
    const ending = candidate.score!.value
    const going = candidates.map(({ token }) => token).filter(token => !candidate.isEnd(token))
    const scores = this.#generation.runtime.scorer!.scoreNext(await candidate.answer(), going)
    const values = new Map(going.map((token, index) => [token, scores[index]!]))
    return candidates.map(({ token }) => values.get(token) ?? ending)
  }

  async accept (token: number): Promise<void> {
    if (!this.#candidate.accept(token)) return
    await this.#candidate.feed()
    await scoreAll(this.#generation, [this.#candidate])
  }

  close (): void {}
}
