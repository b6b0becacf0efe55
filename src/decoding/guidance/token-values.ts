/**
 * The seam between token guidance and what values its candidate tokens. Types only; sources are `prefix-values.ts`,
 * `next-token-values.ts` and `contrast-values.ts`.
 */
import type { RankedToken } from '../../policies/sampling-distribution.js'

/** Values tokens for one answer in the making, and reads the token that was drawn. */
export interface TokenValues {
  /** Whether a token can be valued. Default: all can. */
  values? (token: number): boolean
  /** The value of each candidate token as the answer's next, in order. */
  of (candidates: readonly RankedToken[]): Promise<readonly number[]>
  /** Makes a token part of the answer, and reads it where the answer goes on. */
  accept (token: number): Promise<void>
  /** Frees what it holds beside the answer's own sequence. Idempotent. */
  close (): void
}
