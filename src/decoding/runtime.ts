/**
 * What a decoding strategy is given and what it yields. Types only. A strategy is an async generator over `Runtime`; it
 * knows no HTTP and no model, and is tested on a toy policy.
 */
import type { Sequence, SequenceOptions } from '../engine/sequence.js'
import type { Prompt, Score, Scorer } from '../rewards/scorer.js'
import type { Constraint } from './sampling/constraint.js'

/** A stream of random numbers. */
export interface Random {
  /** Uniform in [0, 1). */
  next (): number
}

/** Turns tokens to text as they come; holds back the bytes of an unfinished character. */
export interface Detokenizer {
  /** Text that this token completes; may be empty. */
  push (token: number): string
  /** Text still held back: the bytes of an unfinished character, as replacement characters. */
  flush (): string
  fork (): Detokenizer
}

/** How tokens are drawn; the request's own fields, defaults filled in. */
export interface SamplingParams {
  /** 0, greedy, or [leastTemperature, 2]. */
  readonly temperature: number
  /** (0, 1]; 1 is off. */
  readonly topP: number
  /** ≥ 1, or 0 for off. */
  readonly topK: number
  /** [0, 1]; 0 is off. */
  readonly minP: number
  /** [−2, 2], over tokens of the answer. */
  readonly frequencyPenalty: number
  /** [−2, 2], over tokens of the answer. */
  readonly presencePenalty: number
  /** > 0; 1 is off; over tokens of prompt and answer. */
  readonly repetitionPenalty: number
  /** Added to logits, by token id. */
  readonly logitBias: Readonly<Record<number, number>>
  /** Answer length limit in tokens, ≥ 1. */
  readonly maxTokens: number
  /** End tokens are masked before this many answer tokens, ≥ 0. */
  readonly minTokens: number
  /** Stop strings; the answer ends before the first. */
  readonly stop: readonly string[]
  /** Extra end tokens of the request. */
  readonly stopTokenIds: readonly number[]
  /** End tokens do not end the answer. */
  readonly ignoreEos: boolean
  /** The stop string, or the text of the end token, is part of the answer's text. */
  readonly includeStop: boolean
  /** How many alternatives to report per token, 0–20, or null for no logprobs. */
  readonly topLogprobs: number | null
}

/** A token and how probable the model held it. */
export interface RatedToken {
  readonly token: number
  /** What it stands for in UTF-8; part of a character, maybe. None for control tokens. */
  readonly bytes: readonly number[]
  /** Of the raw model distribution: temperature 1, before penalties. Nats. */
  readonly logprob: number
}

export interface TokenLogprob extends RatedToken {
  /** The most probable alternatives, descending. */
  readonly top: readonly RatedToken[]
}

export type FinishReason = 'stop' | 'length'

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
  | { readonly type: 'progress', readonly step: number, readonly candidates: readonly ProgressCandidate[] }
  | { readonly type: 'candidate', readonly candidate: CandidateReport }
  | { readonly type: 'selection', readonly candidateIndices: readonly number[] }
  | { readonly type: 'choice-end', readonly choice: number, readonly result: Choice }
  | { readonly type: 'end', readonly result: DecodeResult }

/** The prompt as one side of a contrast reads it. */
export interface ContrastContext {
  readonly tokens: readonly number[]
  /** Whether another model than the policy reads it. */
  readonly isForeign: boolean
  /** Opens it, for so many answers to go on from. */
  open (fanOut: number): Sequence
}

/**
 * A request's own view of the engine. Everything opened through it is closed when the request ends, however it ends.
 */
export interface Runtime {
  /** Opens a sequence of the policy, with the request's temperature, salt and the reward's layers. */
  open (tokens: readonly number[], options?: Pick<SequenceOptions, 'poolFrom'>): Sequence
  /** The prompt in the contexts that token guidance contrasts; null for one that does not count. */
  readonly contrast: { readonly toward: ContrastContext | null, readonly away: ContrastContext | null }
  /** The request's reward, or null for plain sampling. */
  readonly scorer: Scorer | null
  /** Layer whose mean hidden state says what an answer is like; null where the request does not compare answers. */
  readonly embeddingLayer: number | null
  /** What answers are held to; null where anything may be written. */
  readonly constraint: Constraint | null
  /** Tokens that end an answer. */
  readonly endTokens: readonly number[]
  readonly vocabularySize: number
  detokenizer (): Detokenizer
  /** The UTF-8 bytes a token stands for, for logprobs. */
  tokenBytes (token: number): Uint8Array
  /**
   * The random stream at a path, derived from the request's seed: candidate 3 is `random('3')`, its second fork
   * `random('3.2')`, selection `random('selection')`.
   */
  random (path: string): Random
  readonly signal: AbortSignal
  /** Counts the tokens drawn for candidates, as they are drawn. */
  readonly drawn: { generatedTokens: number }
  /** Soft budgets of the request; null is no limit. */
  readonly budget: { readonly maxGeneratedTokens: number | null, readonly deadlineMs: number | null }
  /** Milliseconds since the request started. */
  elapsedMs (): number
}

/** A decoding strategy. */
export type Strategy<P> = (
  runtime: Runtime, prompt: Prompt, sampling: SamplingParams, params: P, n: number
) => AsyncGenerator<DecodeEvent, void, undefined>
