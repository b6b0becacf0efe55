/** What a strategy yields while it works. Types only. */
import type { Entry } from '../journal/entries.js'
import type { TokenLogprob } from '../policies/drawn-token.js'
import type { CandidateReport, Choice, DecodeResult } from './result.js'

/** One candidate as a step of a search left it. */
export interface ProgressCandidate {
  readonly index: number
  readonly parent: number | null
  readonly text: string
  /** Null while it was not scored. */
  readonly reward: number | null
  /** False for one that this step dropped. */
  readonly kept: boolean
  readonly finished: boolean
}

/** What a strategy yields while it works. `text` is committed: it is never taken back. The last event is `end`. */
export type DecodeEvent =
  | {
    readonly type: 'text', readonly choice: number, readonly text: string, readonly logprobs: readonly TokenLogprob[]
  }
  | { readonly type: 'journal', readonly entries: readonly Entry[] }
  | { readonly type: 'progress', readonly step: number, readonly candidates: readonly ProgressCandidate[] }
  | { readonly type: 'candidate', readonly candidate: CandidateReport }
  | { readonly type: 'selection', readonly candidateIndices: readonly number[] }
  | { readonly type: 'choice-end', readonly choice: number, readonly result: Choice }
  | { readonly type: 'end', readonly result: DecodeResult }
