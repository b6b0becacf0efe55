/** The objects that guidance adds to OpenAI's: per choice, per response, per candidate. */
import type { CandidateReport, Choice, DecodeResult, TraceStep } from '../../decoding/result.js'
import type { GenerationStart } from '../../serving/protocol.js'
import type { Score } from '../../rewards/scorer.js'
import type { AlignmentReport, Candidate, ChoiceAlignment, RewardValue, ScoreFields } from './alignment-types.js'

/** Rounded for reading; six digits are more than any of these figures has. */
const rounded = (value: number): number => Number(value.toFixed(6))

function rewardsOf (score: Score): Record<string, RewardValue> {
  return Object.fromEntries(Object.entries(score.rewards).map(([name, { raw, standardized, std, steps }]) => [name, {
    raw: rounded(raw),
    standardized: rounded(standardized),
    ...(std === undefined ? {} : { std: rounded(std) }),
    ...(steps === undefined ? {} : { steps: steps.map(rounded) })
  }]))
}

/** A score as every response tells it. */
export function scoreFields (score: Score): Required<ScoreFields> {
  return { reward: rounded(score.value), rewards: rewardsOf(score) }
}

export function candidateObject (candidate: CandidateReport): Candidate {
  const { index, parent, text, tokens, finishReason, prunedAt, score, logprob } = candidate
  return {
    index,
    ...(parent === null ? {} : { parent }),
    text,
    tokens,
    finish_reason: finishReason,
    ...(prunedAt === null ? {} : { pruned_at: prunedAt }),
    ...(score ? scoreFields(score) : {}),
    logprob: rounded(logprob)
  }
}

function traceStep ({ step, kept, dropped }: TraceStep): TraceStep {
  const short = (candidates: TraceStep['kept']): TraceStep['kept'] =>
    candidates.map(([index, reward]) => [index, reward === null ? null : rounded(reward)])
  return { step, kept: short(kept), dropped: short(dropped) }
}

export function choiceAlignment ({ candidateIndex, score, logprob }: Choice): ChoiceAlignment {
  return { ...(score ? scoreFields(score) : {}), candidate_index: candidateIndex, logprob: rounded(logprob) }
}

export function alignmentObject (start: GenerationStart, result: DecodeResult): AlignmentReport {
  return {
    strategy: start.strategy,
    resolved: start.resolved,
    rewards_used: start.rewardsUsed,
    seed: start.seed,
    kl: { value: result.kl.value === null ? null : rounded(result.kl.value), kind: result.kl.kind },
    num_unique: result.numUnique,
    stopped_by: result.stoppedBy,
    warnings: result.warnings,
    ...(Object.keys(result.details).length === 0 ? {} : { details: result.details }),
    ...(start.resolved['return_candidates'] === true || result.trace
      ? { candidates: result.candidates.map(candidateObject) }
      : {}),
    ...(result.trace ? { trace: result.trace.map(traceStep) } : {})
  }
}
