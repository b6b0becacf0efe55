/**
 * The seam between decoding and whatever runs the policy. Types only. Implemented by `local/` over this process’s
 * engine, by `remote/` over engines elsewhere, and by a toy of the tests that only extends.
 *
 * A backend elsewhere holds an answer as its `Transcript`: `begin` and `fork` copy that, `close` does nothing, `follow`
 * takes over what the other answer drew. `extend` is one call for one answer, with the ids of prompt and answer: it
 * sends `max` or the tokens left to the stop condition as the length, delimiters and stop sequences as hints, and a
 * seed of its own for every call, taken from the generation's random stream (engines restart their noise at each call).
 * It gives every token that comes back to the transcript, which alone decides where the answer ends, drops what was
 * drawn beyond that or the stop condition, and hangs up when the caller returns early or the signal is aborted. It
 * fails where a stream ends without a reason to finish.
 */
import type { Answer, Prompt } from '../rewards/scorer.js'
import type { DrawnToken } from './drawn-token.js'
import type { RankedToken } from './sampling-distribution.js'
import type { Random } from './random-stream.js'
import type { SamplingParams } from './sampling-params.js'
import type { StopCondition } from './stop-condition.js'
import type { Transcript } from './transcript.js'

/** What a backend can do; a request whose strategy needs more is refused before it starts. */
export interface PolicyCapabilities {
  /**
   * Most probable next tokens whose probabilities can be read, and among which the caller can choose: `tokenwise`. 0 is
   * none, Infinity all.
   */
  readonly alternatives: number
  /** Whether the next token's whole distribution can be read. */
  readonly distributions: boolean
  /** Layers whose hidden states can be read. */
  readonly hiddenStates: readonly number[]
  /**
   * Who guides tokens by Q-heads: the `caller`, who reads hidden states and chooses each token, or the `backend`, whose
   * `extend` then draws under the request's guidance; null: nobody can.
   */
  readonly qHeads: 'caller' | 'backend' | null
  /**
   * Whether an answer that was begun under a grammar, or with penalties for what it holds, can go on so: an engine
   * elsewhere may know only what it draws in one call.
   */
  readonly constrainedContinuation: boolean
}

/** The policy, as one request sees it. */
export interface PolicyBackend {
  readonly capabilities: PolicyCapabilities
  /** Tokens run through the model only to score, so far. */
  readonly rewardTokens: number
  /** Reads a prompt once, for all answers to it. */
  open (prompt: Prompt): Promise<OpenPrompt>
}

/** A prompt that answers go on from. It is no `Generation`: it has no text, and nothing is drawn for it. */
export interface OpenPrompt {
  /**
   * An answer of which nothing is drawn yet.
   * @param random what it is drawn with
   * @param isLast whether it may take over what the prompt holds, which saves a copy and closes the prompt
   */
  begin (random: Random, isLast: boolean): Generation
  /** Idempotent. */
  close (): void
}

/** One answer in the making. */
export interface Generation {
  readonly transcript: Transcript
  /** The finer seam of backends with `alternatives`; null for others. */
  readonly tokenwise: Tokenwise | null
  /**
   * Draws tokens until the stop condition is met, the answer ends or `max` are drawn. Tokens are yielded as they come,
   * and are in the transcript then.
   * @returns whether the stop condition was met
   * @throws the signal's reason where it is aborted
   */
  extend (until: StopCondition, max: number, signal: AbortSignal): AsyncGenerator<DrawnToken, boolean>
  /**
   * A copy that goes on independently; not of an answer that has ended.
   * @param random what the copy is drawn with
   * @param sampling in place of this one's
   */
  fork (random: Random, sampling?: SamplingParams): Generation
  /** Replays the tokens of another answer to the same prompt instead of sampling. Its forks sample. */
  follow (answer: Transcript): void
  /** The answer as scorers take it. What must be read for that counts as reward tokens, once. */
  answer (): Promise<Answer>
  /** Frees what it holds beside the transcript. Idempotent. */
  close (): void
}

/** What a next token is drawn from. Probabilities are of the filtered distribution, ties go by lower id. */
export interface NextTokens {
  /** The most probable tokens, most probable first, at most `count`, and at most as many as can be read. */
  ranked (count: number): readonly RankedToken[]
  /** Every token that can be drawn and read, in the order in which `draw` passes them. */
  all (): readonly RankedToken[]
  /**
   * The token at a point of the cumulative distribution. Needs `distributions`.
   * @param u in [0, 1)
   */
  draw (u: number): number
}

/** An answer whose tokens are chosen by the caller, one by one. */
export interface Tokenwise {
  /** What the next token is drawn from. */
  distribution (): Promise<NextTokens>
  /** Raw logprob of a token as the next one, nats. */
  logProbability (token: number): number
  isEnd (token: number): boolean
  /**
   * Makes a token part of the answer, or ends it. The token is not read.
   * @returns whether the answer goes on
   */
  accept (token: number): boolean
  /** Reads the last token. */
  read (): Promise<void>
  /** The answer with one more token, as scorers take it. An end token makes it final. */
  extended (token: number): Promise<Answer>
}

/** A prompt in another context, or for another model, in which an answer is read along. */
export interface ContextReading extends Pick<Tokenwise, 'logProbability'> {
  /** Whether its model has a token: vocabularies may be filled up to different sizes. */
  has (token: number): boolean
  /** Reads the answer's next token. */
  read (token: number): Promise<void>
  /** Idempotent. */
  close (): void
}
