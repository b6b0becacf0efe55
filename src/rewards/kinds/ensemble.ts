/**
 * Ensembles: several scorers of one meaning, standardised each by its own statistics, then combined, with how far they
 * are apart. Conservative rules count doubt against an answer (Coste et al. 2024, arXiv 2310.02743). Knows scorers, not
 * their kinds.
 */
import { Type, type Static, type TObject, type TProperties } from 'typebox'
import { RequestError } from '../../errors.js'
import { fitSchema, membersSchema, metricsSchema, type Normalization } from '../descriptor-parts.js'
import type { MemberScorer, OpenContext, RawScore, RewardSource } from '../reward-kind.js'
import { meanAndStd } from '../../statistics/metrics.js'
import type { AnswerMember } from '../scorer.js'
import { standardize } from '../standardization.js'

const penalty = { penalty: Type.Number({ minimum: 0, maximum: 1000 }) }

/** What each rule needs beside its name. */
const combineFields = {
  /** (1/K) Σ z */
  mean: {},
  /** The least z: worst-case optimisation. */
  min: {},
  /** mean − penalty · variance: uncertainty-weighted optimisation. */
  uwo: penalty,
  /** mean − penalty · standard deviation: a lower confidence bound. */
  lcb: penalty,
  /** Σ weight · z */
  weighted: { weights: Type.Array(Type.Number(), { minItems: 1 }) }
} as const satisfies Record<string, TProperties>

export type CombineRule = keyof typeof combineFields
export const combineRules = Object.keys(combineFields) as CombineRule[]

const commonFields = {
  kind: Type.Literal('ensemble'),
  /** Descriptors without name and description, of any kind but ensemble. */
  scorers: Type.Array(Type.Object({}), { minItems: 2, maxItems: 32 }),
  /** Statistics of the combined score. Default: mean 0, standard deviation 1, the scale of the scorers. */
  members: Type.Optional(membersSchema),
  /** Warn of answers on which the scorers' standardised scores have a larger standard deviation than this. */
  warnAboveStd: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  fit: Type.Optional(fitSchema),
  metrics: Type.Optional(metricsSchema)
}

/** Fields of an ensemble's descriptor beside the family's. */
export function ensembleFields (rule: CombineRule): TProperties {
  return { ...commonFields, combine: Type.Literal(rule), ...combineFields[rule] }
}

export type EnsembleDescriptor = Static<TObject<typeof commonFields>>
  & { readonly combine: CombineRule, readonly penalty?: number, readonly weights?: readonly number[] }

const ownScale: Normalization = { mean: 0, std: 1, pool: 'none: the scale of the scorers' }

/**
 * Combines standardised scores of one answer.
 * @param direction −1 where the request weighs the reward negatively: doubt then counts the other way, so that it
 * always counts against
 */
export function combine (
  { combine: rule, penalty = 0, weights = [] }: Pick<EnsembleDescriptor, 'combine' | 'penalty' | 'weights'>,
  scores: readonly number[], direction: 1 | -1
): { value: number, std: number } {
  const { mean, std } = meanAndStd(scores)
  switch (rule) {
    case 'mean': return { value: mean, std }
    case 'min': return { value: direction * Math.min(...scores.map(score => direction * score)), std }
    case 'uwo': return { value: mean - direction * penalty * std ** 2, std }
    case 'lcb': return { value: mean - direction * penalty * std, std }
    case 'weighted': return { value: scores.reduce((sum, score, index) => sum + weights[index]! * score, 0), std }
  }
}

/** Tells the caller once how many of the answers the scorers disagreed on. */
class Disagreement {
  readonly #bound: number
  readonly #context: OpenContext
  #answers = 0
  #beyond = 0
  #largest = 0

  constructor (bound: number, context: OpenContext) {
    this.#bound = bound
    this.#context = context
  }

  see (std: number): void {
    this.#answers++
    if (std <= this.#bound) return
    this.#beyond++
    this.#largest = Math.max(this.#largest, std)
    this.#context.warn('ensemble_disagreement', `the scorers of reward "${this.#context.name}" disagree on ` +
      `${this.#beyond} of ${this.#answers} answers scored: the standard deviation of their ` +
      `standardised scores is up to ${this.#largest.toFixed(2)}, above ${this.#bound}`)
  }
}

function openEnsemble (
  descriptor: EnsembleDescriptor, scorers: readonly MemberScorer[], member: AnswerMember, context: OpenContext
): MemberScorer {
  const disagreement = new Disagreement(descriptor.warnAboveStd ?? Infinity, context)
  const combineOne = (scores: readonly number[]): RawScore => {
    const { value, std } = combine(descriptor, scores, context.direction)
    disagreement.see(std)
    return { raw: value, std }
  }
  // The least of them can be no more than any of them can.
  const bounded = scorers.flatMap(({ ceiling, normalization }) =>
    ceiling ? [(text: string) => standardize(context.name, ceiling(text), normalization)] : [])
  return {
    normalization: descriptor.members?.[member]?.normalization ?? ownScale,
    layers: scorers.flatMap(scorer => scorer.layers),
    forks: scorers.some(scorer => scorer.forks),
    demands: scorers.flatMap(scorer => scorer.demands ?? []),
    async score (prompt, answers) {
      const columns = await Promise.all(scorers.map(scorer => scorer.score(prompt, answers)))
      return answers.map((_answer, row) => combineOne(columns.map((scores, column) =>
        standardize(context.name, scores[row]!.raw, scorers[column]!.normalization))))
    },
    ...(descriptor.combine === 'min' && context.direction === 1 && bounded.length > 0 &&
      { ceiling: text => Math.min(...bounded.map(bound => bound(text))) })
  }
}

/**
 * An ensemble of sources. It has the members that all of them have.
 * @throws RequestError where no member is common to all, or weights are not one a scorer
 */
export function ensembleSource (descriptor: EnsembleDescriptor, sources: readonly RewardSource[]): RewardSource {
  const { weights, members: stated = {} } = descriptor
  if (weights && weights.length !== sources.length) {
    throw new RequestError('invalid_request',
      `weights must have one entry per scorer, ${sources.length}; got ${weights.length}`)
  }
  const members = (['outcome', 'prefix'] as const).filter(member =>
    sources.every(source => source.members.includes(member)))
  if (members.length === 0) {
    throw new RequestError('invalid_request', 'scorers must share a member, outcome or prefix')
  }
  const foreign = (Object.keys(stated) as AnswerMember[]).find(member => !members.includes(member))
  if (foreign) {
    throw new RequestError('invalid_request', `members.${foreign} is not allowed: not all scorers have this member`)
  }
  return {
    members,
    incompatibility: policy =>
      sources.map(source => source.incompatibility(policy)).find(problem => problem !== null) ?? null,
    get modelHashes () { return sources.flatMap(source => source.modelHashes ?? []) },
    load: async models => { for (const source of sources) await source.load?.(models) },
    open: (member, context) =>
      openEnsemble(descriptor, sources.map(source => source.open(member, context)), member, context)
  }
}
