/** What is decided of a fit before it begins, and what is told of it meanwhile. Types only. */
import type { CombineRule } from '../rewards/kinds/ensemble.js'
import type { Examples } from './examples.js'

/** An ensemble in place of one head. */
export interface EnsembleOptions {
  /** Number of heads, 2 to 32. */
  readonly heads: number
  /** Where their differences come from. */
  readonly uncertainty: 'bootstrap' | 'laplace'
  readonly combine: Exclude<CombineRule, 'weighted'>
  /** Of uwo and lcb. */
  readonly penalty: number
}

/** What a fit is busy with: answers read, answers of the reference pool, heads fitted, answers drawn for a Q-head. */
export interface FitProgress {
  readonly phase: 'features' | 'pool' | 'fit' | 'next_token', readonly done: number, readonly total: number
}

/** What is asked for: all of a fit that a person decides. */
export interface FitChoices {
  readonly name: string
  readonly description: string
  readonly train: Examples
  /**
   * Held-out examples of the same kind, none of them in `train`. Default: a fifth of the training prompts is held out.
   */
  readonly test?: Examples
  /** Name, size and origin of the data, and the licence it comes under, for the card. */
  readonly data: { readonly name: string, readonly licence: string }
  /**
   * Layers to try, 0..L; the best by cross-validation is taken. Default a third, half and two thirds of the model's.
   */
  readonly layers?: readonly number[]
  readonly pooling: 'mean' | 'last'
  /**
   * Fit on 25, 50, 75 and 100 % of each answer, for both members; else on whole answers, for the outcome member only.
   */
  readonly prefixes: boolean
  /** Longer answers are cut, and the descriptor says how many were. Default 256. */
  readonly maxAnswerTokens?: number
  /**
   * Keep so many directions that the pairs differ along beside the head, so that it can be adapted to a user. Needs
   * pairs and one head.
   */
  readonly directions?: number
  /** Several heads that tell where they differ, in place of one. */
  readonly ensemble?: EnsembleOptions
  /** Also fit a next-token member. Needs one head with mean pooling and prefixes, and ten different prompts. */
  readonly qHead?: boolean
}
