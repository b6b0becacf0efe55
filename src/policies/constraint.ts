/**
 * What restricts an answer's tokens, such as a grammar: the seam between sampling and the code that knows what may be
 * written. Types only.
 */

/** One answer's place in a constraint; forked and closed with its candidate. */
export interface ConstraintState {
  /** Resolves when `allowed` is known. @throws what went wrong in finding it out */
  ready (): Promise<void>
  /**
   * Which tokens may come next: bit t mod 32 of word ⌊t / 32⌋ stands for token t. At least one; end tokens are among
   * them where the answer may end. After `ready`.
   */
  readonly allowed: Int32Array
  /** Goes on behind a token that was allowed and does not end the answer. */
  accept (token: number): void
  fork (): ConstraintState
  /** Idempotent. */
  close (): void
}

/** What all answers of a request are held to. */
export interface Constraint {
  /** The place before the first token. */
  start (): ConstraintState
}
