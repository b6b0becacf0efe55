/** What a request comes to: its choices, its candidates, what they cost. Types only. */
import type { TokenLogprob } from '../policies/drawn-token.js'
import type { FinishReason } from '../policies/transcript.js'
import type { Score } from '../rewards/scorer.js'

/** A finished or pruned candidate, as reported. */
export interface CandidateReport {
  readonly index: number
  /** Index of the candidate it was forked from; null for one drawn from the prompt on. */
  readonly parent: number | null
  readonly text: string
  /** Number of tokens generated for it, end token included. */
  readonly tokens: number
  readonly finishReason: FinishReason | null
  /** Step or token at which it was pruned; null for one that was kept to the end. */
  readonly prunedAt: number | null
  readonly score: Score | null
  /** Sum of raw token logprobs, nats. */
  readonly logprob: number
}

/** One returned choice. */
export interface Choice {
  readonly candidateIndex: number
  readonly text: string
  readonly finishReason: FinishReason
  /** Tokens generated for this choice, end token included: what `usage.completion_tokens` counts. */
  readonly completionTokens: number
  readonly logprob: number
  readonly score: Score | null
  /** One per answer token if logprobs were asked for, else empty. */
  readonly logprobs: readonly TokenLogprob[]
  /** All `completionTokens` tokens, end token included. */
  readonly tokenIds: readonly number[]
}

/** KL of the returned answer's distribution to the policy, nats. */
export interface KlReport {
  readonly value: number | null
  readonly kind: 'exact_sampled' | 'upper_bound' | 'bound_estimate' | null
}

export interface Warning { readonly code: string, readonly message: string }

/** Why a search ended before its candidates did. */
export type StoppedBy = 'max_generated_tokens' | 'deadline' | null

/** What a step of a search left, compactly: indices of candidates with their rewards, null for one not scored. */
export interface TraceStep {
  readonly step: number
  readonly kept: ReadonlyArray<readonly [index: number, reward: number | null]>
  readonly dropped: ReadonlyArray<readonly [index: number, reward: number | null]>
}

export interface DecodeResult {
  readonly choices: readonly Choice[]
  readonly kl: KlReport
  /** Distinct texts among the candidates. */
  readonly numUnique: number
  readonly stoppedBy: StoppedBy
  readonly warnings: readonly Warning[]
  /** What this strategy alone has to report, snake_case; plain data. */
  readonly details: Readonly<Record<string, unknown>>
  /** Every candidate, chosen or not, in index order. */
  readonly candidates: readonly CandidateReport[]
  /** Its steps, where the request asked for them. */
  readonly trace?: readonly TraceStep[]
  /** Tokens drawn for candidates, chosen or not. */
  readonly generatedTokens: number
  /** Tokens run through the model only to score. */
  readonly rewardTokens: number
}
