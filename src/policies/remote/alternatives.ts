/** Next tokens as far as an engine elsewhere tells them: the most probable ones, at temperature 1 and unfiltered. */
import type { NextTokens } from '../policy.js'
import type { RankedToken } from '../sampling-distribution.js'
import type { RankedLogprob } from './engine-call.js'

export class Alternatives implements NextTokens {
  /** Most probable first. */
  readonly #ranked: readonly RankedToken[]
  readonly #logprobs: ReadonlyMap<number, number>

  /** @param top descending */
  constructor (top: readonly RankedLogprob[]) {
    this.#ranked = top.map(({ token, logprob }) => ({ token, logProbability: logprob }))
    this.#logprobs = new Map(top.map(({ token, logprob }) => [token, logprob]))
  }

  ranked (count: number): readonly RankedToken[] { return this.#ranked.slice(0, count) }
  all (): readonly RankedToken[] { return this.#ranked }

  draw (): number { throw new Error('an engine elsewhere does not tell the whole distribution') }

  /** @throws Error for a token that is not among them */
  logprob (token: number): number {
    const logprob = this.#logprobs.get(token)
    if (logprob === undefined) throw new Error(`token ${token} is none of the alternatives`)
    return logprob
  }
}
