/**
 * The seam between a family and the kinds of rewards: what a descriptor becomes when it is read, and what a member of
 * it becomes when a request uses it. Types only.
 */
import type { ModelRuntime, RuntimeDemand } from '../engine/model-runtime.js'
import type { Normalization } from './descriptor-parts.js'
import type { PolicyInfo } from './readable-policy.js'
import type { RewardModels } from './reward-models.js'
import type { Answer, AnswerMember, Prompt } from './scorer.js'

/** Counts tokens that were run only to score. */
export interface RewardLedger { rewardTokens: number }

/** A request, as its scorers see it. */
export interface RequestScope {
  /** Max answers scored concurrently. */
  readonly width: number
  /** Longest prompt and answer together, the policy's tokens. */
  readonly tokens: number
  /** The policy, for those who read answers through it once more; null where another server runs it. */
  readonly reader: ModelRuntime | null
  /** Whose it is: callers take turns. Default ''. */
  readonly caller?: string
  /** Cached prompts are shared only among equal salts. */
  readonly salt: string
  /** Aborted when the request ends, however it ends. */
  readonly signal: AbortSignal
}

/** What a kind is given when a request opens a member. */
export interface OpenContext {
  /** The family's name, for messages. */
  readonly name: string
  readonly policy: PolicyInfo
  readonly ledger: RewardLedger
  readonly request: RequestScope
  /** −1 where the request weighs the reward negatively, and low scores are wanted. */
  readonly direction: 1 | -1
  /**
   * Warns the request's caller, while it is opened or while it scores; a later warning of the same code replaces an
   * earlier one.
   */
  warn (code: string, message: string): void
}

/**
 * A raw score; of an ensemble also how far its scorers are apart, as the standard deviation of their standardised
 * scores; of a process reward the probability that each step is right.
 */
export interface RawScore { readonly raw: number, readonly std?: number, readonly steps?: readonly number[] }

/** One member of one family, open for one request. */
export interface MemberScorer {
  readonly normalization: Normalization
  /** Layers of the policy's hidden states it reads. */
  readonly layers: readonly number[]
  /** True where scoring forks an answer for one token. */
  readonly forks: boolean
  /** KV it needs in the engines of the models it reads through. Default none. */
  readonly demands?: readonly RuntimeDemand[]
  /** Raw scores of answers, in order. They need not be finite: whoever standardises them checks. */
  score (prompt: Prompt, answers: readonly Answer[]): Promise<RawScore[]>
  /**
   * The most that the raw score of an answer can still become that begins with a text. Absent where nothing is known
   * before the end.
   */
  ceiling? (text: string): number
}

/** A next-token member, open for one request. It scores answers, too, as they stand. */
export interface NextTokenScorer extends MemberScorer {
  /**
   * Its name where the policy's own server has its Q-head and guides tokens by it; null where next tokens are scored
   * here.
   */
  readonly elsewhere: string | null
  /**
   * Raw scores that an answer would have with each of some tokens more, in order.
   * @throws Error where another server scores them
   */
  scoreNext (answer: Answer, tokens: readonly number[]): number[]
}

/** A descriptor that was read: checked, and what is costly compiled. */
export interface RewardSource {
  readonly members: readonly AnswerMember[]
  /** Why it cannot score this policy's answers, in words that follow the family's name; null if it can. */
  incompatibility (policy: PolicyInfo): string | null
  /**
   * Loads the models that it brings, before it is opened.
   * @throws RequestError for one that cannot be loaded, or does not fit the descriptor
   */
  load? (models: RewardModels): Promise<void>
  /** SHA-256 of each model it has loaded: what they are is part of what the reward is. Default none. */
  readonly modelHashes?: readonly string[]
  /** @param member one of `members` */
  open (member: AnswerMember, context: OpenContext): MemberScorer
  /** Absent where it has no next-token member. */
  openNextToken? (context: OpenContext): NextTokenScorer
}
