/** What crosses between the inference thread and the grammar thread: plain data only. */
import type { RequestErrorData } from '../errors.js'
import type { GrammarSource } from './grammar-source.js'

/** The model's tokens, as the thread is started with them. */
export interface Vocabulary {
  /** The bytes of all tokens, one after the other; none for control tokens, which no grammar writes. */
  readonly bytes: Uint8Array
  /** Where each token's bytes end. */
  readonly ends: Uint32Array
  /** Tokens that end an answer. */
  readonly endTokens: readonly number[]
}

/** Work, done in the order it comes. `compile` and `advance` have one reply each. */
export type Operation =
  | { readonly type: 'compile', readonly grammar: number, readonly source: GrammarSource }
  /** More tokens of an answer, from its first on where the thread does not know it. */
  | { readonly type: 'advance', readonly answer: number, readonly grammar: number, readonly tokens: readonly number[] }
  | { readonly type: 'close', readonly answer: number }
  | { readonly type: 'forget', readonly grammar: number }

/** The first is `ready`. */
export type Reply =
  | { readonly ready: true }
  /** Which tokens may come next, a bit each; and the matcher's memory, bytes. */
  | { readonly allowed: Int32Array, readonly memoryBytes: number }
  /** What is to be compiled cannot be: the caller's mistake. */
  | { readonly refused: RequestErrorData }
  /** What went wrong, after which the thread ends. */
  | { readonly failed: string, readonly isTooLarge: boolean }
