/** `alignment` as requests give it and as answers tell of it. Types only. */
import type { ProgressCandidate } from '../../decoding/events.js'
import type { KlReport, StoppedBy, Warning } from '../../decoding/result.js'
import type { FinishReason } from '../../policies/transcript.js'
import type { ParametersOf, StrategyName } from '../../decoding/strategies/strategy-schemas.js'
import type { GenerationStart } from '../../serving/protocol.js'
import type { Loose } from '../schemas/loose.js'

/** A reward and its weight in the sum that steers. */
export interface WeightedReward {
  /** Name of a reward, as `GET /v1/rewards` lists it. */
  readonly name: string
  /** −1000 to 1000, default 1; a negative weight asks for the opposite. */
  readonly weight?: number | undefined
}

/** Parameters of one strategy, as a request gives them. docs/strategies.md says what each means. */
export type StrategyParams<N extends StrategyName> = Loose<Omit<ParametersOf<N>, 'rewards'>> & {
  /** Short for `rewards` with one of weight 1. */
  readonly reward?: string | null
  readonly rewards?: readonly WeightedReward[] | null
}

/** The `alignment` field of a request: how the answer is steered. Without `strategy` it is `best_of_n`. */
export type AlignmentParams =
  | { [N in StrategyName]: { readonly strategy: N } & StrategyParams<N> }[StrategyName]
  | { readonly strategy?: null } & StrategyParams<'best_of_n'>

/** One reward's score of one answer. */
export interface RewardValue {
  /** As the reward computes it. */
  readonly raw: number
  /** (raw − mean) / standard deviation of the policy's own answers. */
  readonly standardized: number
  /** Of an ensemble: standard deviation over its scorers. */
  readonly std?: number
  /** Of a judge of steps: how probably each is right. */
  readonly steps?: readonly number[]
}

/** A score, where a reward was asked for. */
export interface ScoreFields {
  /** Σ weight · score over the rewards of the request: what steers. */
  readonly reward?: number
  /** By name of the reward. */
  readonly rewards?: Readonly<Record<string, RewardValue>>
}

/** `choices[i].alignment`: how a returned answer was found. */
export interface ChoiceAlignment extends ScoreFields {
  /** Which of the candidates it was. */
  readonly candidate_index: number
  /** Σ ln π of its tokens, nats. */
  readonly logprob: number
}

/** A candidate, chosen or not. */
export interface Candidate extends ScoreFields {
  readonly index: number
  /** Index of the candidate it was forked from. */
  readonly parent?: number
  readonly text: string
  /** Tokens drawn for it. */
  readonly tokens: number
  readonly finish_reason: FinishReason | null
  /** Step or token at which it was dropped. */
  readonly pruned_at?: number
  /** Σ ln π of its tokens, nats. */
  readonly logprob: number
}

/** `alignment` of a response: what was asked for in full, and what came of it. */
export interface AlignmentReport {
  readonly strategy: string
  /** All parameters in force. */
  readonly resolved: Readonly<Record<string, unknown>>
  readonly rewards_used: GenerationStart['rewardsUsed']
  /** Same seed and `system_fingerprint`, same tokens. */
  readonly seed: number
  /** KL of the answer's distribution to the policy, nats, and what kind of figure it is. */
  readonly kl: KlReport
  /** Distinct texts among the candidates. */
  readonly num_unique: number
  /** Which soft limit ended the search. */
  readonly stopped_by: StoppedBy
  readonly warnings: readonly Warning[]
  /** What only this strategy knows. */
  readonly details?: Readonly<Record<string, unknown>>
  /** With `return_candidates` or `return_trace`. */
  readonly candidates?: readonly Candidate[]
  /** With `return_trace`: after each step the indices of the candidates kept and dropped, with their rewards. */
  readonly trace?: ReadonlyArray<{
    readonly step: number
    readonly kept: ReadonlyArray<readonly [index: number, reward: number | null]>
    readonly dropped: ReadonlyArray<readonly [index: number, reward: number | null]>
  }>
}

/** With `return_progress`: the candidates of a search as one of its steps left them. */
export interface AlignmentProgress {
  readonly progress: { readonly step: number, readonly candidates: readonly ProgressCandidate[] }
}

/** `usage.alignment_details`: what the answer took, tokens. Generated = returned + discarded. */
export interface AlignmentDetails {
  readonly generated_tokens: number
  readonly returned_tokens: number
  readonly discarded_tokens: number
  /** Read only to score. */
  readonly reward_tokens: number
  readonly reward_cached_tokens: number
  /** Of the prompt, run through the model. */
  readonly computed_prompt_tokens: number
  readonly forward_passes: number
}
