/**
 * A constraint on a toy's tokens: never the same twice in a row, an end after an even number only. Counts the places
 * that are open.
 */
import type { Constraint, ConstraintState } from '../../src/policies/constraint.js'

export const mayFollow = (tokens: readonly number[], next: number, endToken: number): boolean =>
  next === endToken ? tokens.length % 2 === 0 : next !== tokens.at(-1)

export class ToyConstraint implements Constraint {
  readonly #endToken: number
  open = 0

  constructor (endToken: number) { this.#endToken = endToken }

  start (): ConstraintState { return this.#state([]) }

  #state (tokens: number[]): ConstraintState {
    let isOpen = true
    this.open++
    const allowed = (): Int32Array => Int32Array.of(Array.from({ length: this.#endToken + 1 }, (_, token) => token)
      .reduce((word, token) => mayFollow(tokens, token, this.#endToken) ? word | 1 << token : word, 0))
    let known: Int32Array | null = null
    return {
      ready: async () => { await Promise.resolve(); known = allowed() },
      get allowed () { return known! },
      accept: token => {
        if (!mayFollow(tokens, token, token + 1)) throw new Error(`token ${token} is not allowed`)
        tokens.push(token)
        known = null
      },
      fork: () => this.#state([...tokens]),
      close: () => { if (isOpen) { isOpen = false; this.open-- } }
    }
  }
}
