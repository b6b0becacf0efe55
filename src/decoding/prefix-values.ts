/**
 * Values tokens by a reward of prefixes: each candidate token is fed to a fork, all forks in one batch, and the reward reads what they make. The fork of
 * the token drawn becomes the answer's sequence; nothing is recomputed. End tokens are not fed: they make the answer final.
 */
import type { Output, Sequence } from '../engine/sequence.js'
import type { Score } from '../rewards/scorer.js'
import type { Candidate, Generation } from './candidate.js'
import type { RankedToken } from './distribution.js'
import type { TokenValues } from './token-values.js'

interface Probe { readonly sequence: Sequence, readonly output: Output }

/** Values of one candidate's next tokens. */
export class PrefixValues implements TokenValues {
  readonly #generation: Generation
  readonly #candidate: Candidate
  #probes = new Map<number, Probe>()
  #scores = new Map<number, Score>()

  constructor (generation: Generation, candidate: Candidate) {
    this.#generation = generation
    this.#candidate = candidate
  }

  async of (candidates: readonly RankedToken[]): Promise<number[]> {
    const { runtime, prompt } = this.#generation
    this.#probes = await this.#probe(candidates)
    const unfed = { sequence: this.#candidate.sequence, output: this.#candidate.output }
    const answers = candidates.map(({ token }) => this.#candidate.extended(token, this.#probes.get(token) ?? unfed))
    const scores = await runtime.scorer!.score(prompt, answers)
    this.#scores = new Map(candidates.map(({ token }, index) => [token, scores[index]!]))
    return scores.map(score => score.value)
  }

  async #probe (candidates: readonly RankedToken[]): Promise<Map<number, Probe>> {
    const fed = candidates.filter(({ token }) => !this.#candidate.isEnd(token))
    const sequences = fed.map(({ token }) => {
      const sequence = this.#candidate.sequence.fork()
      sequence.append(token)
      return { token, sequence }
    })
    this.#generation.rewardTokens += Math.max(0, fed.length - 1)
    return new Map(await Promise.all(sequences.map(async ({ token, sequence }) => [token, { sequence, output: await sequence.output() }] as const)))
  }

  async accept (token: number): Promise<void> {
    const candidate = this.#candidate
    // Of the prefix with the token; null for one that was not looked at.
    candidate.score = this.#scores.get(token) ?? null
    const goesOn = candidate.accept(token)
    const probe = this.#probes.get(token)
    if (probe) {
      this.#probes.delete(token)
      candidate.adopt(probe)
    } else if (goesOn) await candidate.feed()
    this.close()
  }

  close (): void {
    for (const { sequence } of this.#probes.values()) sequence.close()
    this.#probes.clear()
  }
}
