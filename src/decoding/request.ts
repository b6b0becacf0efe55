/**
 * What a decoding strategy is given. Types only. A strategy is an async generator over the policy's seam; it knows no
 * HTTP and no model, and is tested on a toy policy.
 */
import type { Recorder } from '../journal/recorder.js'
import type { ContextReading, PolicyBackend } from '../policies/policy.js'
import type { Random } from '../policies/random-stream.js'
import type { SamplingParams } from '../policies/sampling-params.js'
import type { Prompt, Scorer } from '../rewards/scorer.js'
import type { DecodeEvent } from './events.js'

/** The prompt as one side of a contrast reads it. */
export interface ContrastContext {
  readonly tokens: readonly number[]
  /** Whether another model than the policy reads it. */
  readonly isForeign: boolean
  /** Reads it once, for each of so many answers. */
  open (count: number): Promise<ContextReading[]>
}

/** Soft limits of a request; null is no limit. */
export interface Limits { readonly maxGeneratedTokens: number | null, readonly deadlineMs: number | null }

/** A request as strategies see it. Whatever it opens is closed when it ends, however it ends. */
export interface DecodingRequest {
  readonly policy: PolicyBackend
  readonly prompt: Prompt
  readonly sampling: SamplingParams
  /** Choices to return. */
  readonly n: number
  /** Null for plain sampling, and where nothing is scored. */
  readonly scorer: Scorer | null
  /** Layer whose mean hidden state says what an answer is like; null where the request does not compare answers. */
  readonly embeddingLayer: number | null
  /** The prompt in the contexts that token guidance contrasts; null for one that does not count. */
  readonly contrast: { readonly toward: ContrastContext | null, readonly away: ContrastContext | null }
  readonly limits: Limits
  /** Counts the tokens drawn for candidates, as they are drawn. */
  readonly used: { generatedTokens: number }
  readonly signal: AbortSignal
  /** Where it is told what happens; null where nobody wants to know. */
  readonly journal: Recorder | null
  /** Text of a token; `bytes:\xe2\x80` where it is part of a character. Asked for guided tokens of a journal only. */
  pieceOf (token: number): string
  /**
   * The random stream at a path, derived from the request's seed: candidate 3 is `random('3')`, its second fork
   * `random('3.2')`, selection `random('selection')`.
   */
  random (path: string): Random
  /** Milliseconds since the request started. */
  elapsedMs (): number
}

/** A decoding strategy. */
export type Strategy<P> = (request: DecodingRequest, params: P) => AsyncGenerator<DecodeEvent, void, undefined>
