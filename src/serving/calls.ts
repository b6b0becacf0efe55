/** Questions to the inference thread that have one answer: what is asked, what is answered. Plain data. */
import type { Warning } from '../decoding/result.js'
import type { Suggestion } from '../fitting/active-learning.js'
import type { AdaptChoices, OpenPair } from '../fitting/adapt-reward.js'
import type { Pair } from '../fitting/examples.js'
import type { FitChoices, FitProgress } from '../fitting/fit-task.js'
import type { RewardInfo } from '../rewards/reward-info.js'
import type { AnswerMember, ChatMessage, Score } from '../rewards/scorer.js'
import type { GenerationStart, PromptInput } from './protocol.js'

/** Whose a question is: callers take turns. */
interface Owned {
  /** Default ''. */
  readonly caller?: string
}

/** Given answers to be scored, each to a conversation of its own. */
export interface ScoreRequest extends Owned {
  readonly model: string
  /** What to sum, at least one. */
  readonly rewards: ReadonlyArray<{ readonly name: string, readonly weight: number }>
  readonly scale: 'standardized' | 'raw'
  /** With `outcome` answers count as finished, with `prefix` as unfinished. */
  readonly member: AnswerMember
  readonly items: ReadonlyArray<{ readonly messages: readonly ChatMessage[], readonly answer: string }>
  /**
   * Score each answer after every so many of its tokens, and whole at last; null scores it whole only. Needs `prefix`.
   */
  readonly every: number | null
  readonly cacheSalt: string
  /** What the caller calls these fields, for errors. */
  readonly fields: { readonly rewards: string, readonly items: string }
}

/** The score of an answer's first tokens; `end` is where their text ends, in code points. */
export interface ScoredPrefix { readonly tokens: number, readonly end: number, readonly score: Score }

/** The score of one answer as it was given, and of its prefixes where they were asked for, shortest first. */
export interface ScoredItem {
  readonly score: Score, readonly tokens: number, readonly prefixes: readonly ScoredPrefix[]
}

/** Scores in the order of the items, and what should be known about them. */
export interface Scored {
  readonly items: readonly ScoredItem[]
  readonly rewardsUsed: GenerationStart['rewardsUsed']
  readonly warnings: readonly Warning[]
  /**
   * Tokens of all prompts and answers; those of them that were read from the prefix cache, and those run through the
   * model.
   */
  readonly usage: { readonly tokens: number, readonly cachedTokens: number, readonly computedTokens: number }
}

/** A reward to be fitted and kept. */
export interface FitRequest extends FitChoices, Owned {
  readonly model: string
  /** Whether a kept reward of the name may be replaced. */
  readonly replace: boolean
}

/** A reward to be made from another one and a user's pairs, and kept. */
export interface AdaptRequest extends AdaptChoices, Owned {
  readonly model: string
  readonly reward: string
  /** Whether a kept reward of the name may be replaced. */
  readonly replace: boolean
}

export interface SuggestRequest extends Owned {
  readonly model: string
  readonly reward: string
  readonly candidates: readonly OpenPair[]
  readonly labelled: readonly Pair[]
  readonly count: number
}

/** Candidates by index, most informative first. */
export type Suggested = readonly Suggestion[]

/** How far a fit is; `queued` while others are fitted. */
export type FittingProgress = FitProgress | { readonly phase: 'queued', readonly done: 0, readonly total: 1 }

export interface TokenizeRequest extends Owned { readonly model: string, readonly prompt: PromptInput }

/** Tokens, and the text each is written with; part of a character, maybe. */
export interface Tokenized { readonly tokens: readonly number[], readonly texts: readonly string[] }

export interface DetokenizeRequest extends Owned { readonly model: string, readonly tokens: readonly number[] }

/**
 * What programs that render and count prompts themselves ask of a tokenizer; '' for a token that the model does not
 * name.
 */
export interface TokenizerInfo {
  readonly beginToken: string
  readonly endToken: string
  readonly chatTemplate: string | null
}

export interface EmbedRequest extends Owned {
  readonly model: string, readonly inputs: readonly PromptInput[], readonly cacheSalt: string
}

/** Mean hidden states of the last layer over each input's tokens, of length one, in the order of the inputs. */
export interface Embedded { readonly embeddings: readonly Float32Array[], readonly promptTokens: number }

/** The engine of a model at this moment. */
export interface EngineStats {
  readonly model: string
  readonly sequences: number
  readonly waitingRequests: number
  readonly runningRequests: number
  /** Tokens whose KV is held by open sequences. */
  readonly kvTokens: number
  readonly kvBytesPerToken: number
  /** Bytes of KV kept for later prompts. */
  readonly prefixCacheBytes: number
  /** Since the thread started: steps, model runs, and the rows they carried. */
  readonly steps: number
  readonly runs: number
  readonly decodeRows: number
  readonly prefillRows: number
  /** Of tokens that might come next, run up to some layer. */
  readonly probedRows: number
}

/** A model that rewards brought, at this moment. */
export interface RewardModelStats {
  /** Name of its file or folder. */
  readonly id: string
  /** Bytes of its weights. */
  readonly weightBytes: number
  /** Bytes of KV that are held for open and for later sequences. */
  readonly kvBytes: number
  /** Tokens run through it since it was loaded. */
  readonly tokens: number
}

/** All engines at this moment, the default model's first. */
export interface Stats { readonly engines: readonly EngineStats[], readonly rewardModels: readonly RewardModelStats[] }

/** What has one answer: name → request and answer. */
export interface Calls {
  readonly score: { readonly request: ScoreRequest, readonly answer: Scored }
  readonly tokenize: { readonly request: TokenizeRequest, readonly answer: Tokenized }
  readonly tokenizerInfo: { readonly request: { readonly model: string }, readonly answer: TokenizerInfo }
  readonly detokenize: { readonly request: DetokenizeRequest, readonly answer: string }
  /** The reward, once it is kept and can be used. Reports its progress. */
  readonly fit: { readonly request: FitRequest, readonly answer: RewardInfo }
  readonly adapt: { readonly request: AdaptRequest, readonly answer: RewardInfo }
  readonly suggest: { readonly request: SuggestRequest, readonly answer: Suggested }
  /** Reads what other processes have kept or deleted. */
  readonly refreshRewards: { readonly request: null, readonly answer: null }
  readonly deleteReward: { readonly request: { readonly name: string }, readonly answer: null }
  readonly embed: { readonly request: EmbedRequest, readonly answer: Embedded }
  readonly stats: { readonly request: null, readonly answer: Stats }
}

export type CallName = keyof Calls
