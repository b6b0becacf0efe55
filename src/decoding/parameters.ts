/**
 * The parameters of every strategy, once: type, default, range, meaning, source. Validation, `--help`, the README's table and the
 * fan-out check follow from this file. Wire names (snake_case) are used as they are.
 */
import { Type, type Static, type TObject, type TProperties } from 'typebox'
import { RequestError } from '../errors.js'
import type { RewardMember } from '../rewards/scorer.js'
import { checkFields, refuse } from '../validation.js'

const integer = (minimum: number, maximum: number, value: number, description: string): ReturnType<typeof Type.Integer> => Type.Integer({ minimum, maximum, default: value, description })

const strength = Type.Number({ minimum: -1000, maximum: 1000, default: 1, description: 'how hard to steer: the target is policy · exp(strength · standardised reward); 0 is the policy' })

const common = {
  rewards: Type.Array(Type.Object({
    name: Type.String({ minLength: 1 }),
    weight: Type.Number({ minimum: -1000, maximum: 1000, default: 1 })
  }, { additionalProperties: false }), { default: [], maxItems: 16, description: 'rewards and their weights; their weighted sum steers. `reward: "name"` is short for one of weight 1' }),
  reward_scale: Type.Enum(['standardized', 'raw'], { default: 'standardized', description: 'standardised on the policy’s own answers, or as the reward computes it' }),
  max_generated_tokens: Type.Union([Type.Integer({ minimum: 1, maximum: 1 << 30 }), Type.Null()], { default: null, description: 'soft limit of tokens over all candidates: the best so far is returned' }),
  deadline_ms: Type.Union([Type.Integer({ minimum: 1, maximum: 1 << 30 }), Type.Null()], { default: null, description: 'soft limit of time: the best so far is returned' }),
  return_candidates: Type.Boolean({ default: false, description: 'list every candidate in the response' }),
  return_progress: Type.Boolean({ default: false, description: 'stream candidates and scores so far' })
}

const scopeMismatch = { allow_scope_mismatch: Type.Boolean({ default: false, description: 'score prefixes with a reward made for whole answers, with a warning' }) }

const strategySchemas = {
  best_of_n: Type.Object({
    ...common,
    num_candidates: integer(1, 128, 8, 'answers drawn'),
    selection: Type.Enum(['argmax', 'softmax'], { default: 'argmax', description: 'the best, or one drawn ∝ exp(strength · reward)' }),
    strength
  }, { additionalProperties: false }),
  beam_search: Type.Object({
    ...common,
    ...scopeMismatch,
    num_beams: integer(1, 64, 4, 'beams kept after each step'),
    num_children: integer(1, 64, 4, 'continuations drawn of each beam'),
    step: Type.Object({ tokens: integer(1, 4096, 16, 'tokens of a step') }, { additionalProperties: false, default: { tokens: 16 }, description: 'how far a beam grows before it is scored' }),
    max_steps: Type.Union([Type.Integer({ minimum: 1, maximum: 1 << 20 }), Type.Null()], { default: null, description: 'steps at most' })
  }, { additionalProperties: false }),
  token_guidance: Type.Object({
    ...common,
    ...scopeMismatch,
    strength,
    candidates: Type.Object({
      top_k: integer(1, 128, 20, 'most probable tokens looked at'),
      top_p: Type.Number({ exclusiveMinimum: 0, maximum: 1, default: 1, description: 'of them, the fewest that have this probability' })
    }, { additionalProperties: false, default: { top_k: 20, top_p: 1 }, description: 'next tokens that are looked at; others are masked' }),
    transform: Type.Enum(['identity', 'centered', 'minmax', 'log_sigmoid', 'clip01'], { default: 'identity', description: 'applied to the values of the candidates' }),
    max_kl: Type.Union([Type.Number({ minimum: 0, maximum: 1e6 }), Type.Null()], { default: null, description: 'nats per answer: guidance weakens as they are spent' })
  }, { additionalProperties: false })
}

export type StrategyName = keyof typeof strategySchemas
type Parameters<N extends StrategyName> = Static<(typeof strategySchemas)[N]>
export type BestOfNParams = Parameters<'best_of_n'>
export type BeamSearchParams = Parameters<'beam_search'>
export type TokenGuidanceParams = Parameters<'token_guidance'>

/** A checked request for guidance: every parameter filled in. */
export type AlignmentRequest = { [N in StrategyName]: { readonly strategy: N } & Readonly<Parameters<N>> }[StrategyName]

/** What a strategy is, in words, and what it needs. */
interface StrategyFacts<N extends StrategyName> {
  readonly summary: string
  readonly formula: string
  readonly source: string
  /** Which member of a reward it asks for. */
  readonly member: RewardMember
  /** Sequences open at the same time, at most: for one choice, or for all where they share candidates. */
  readonly fanOut: (params: Parameters<N>) => number
  /** Whether all choices come from the same candidates, rather than each from its own. */
  readonly sharesChoices: boolean
}

export const strategyFacts: { readonly [N in StrategyName]: StrategyFacts<N> } = {
  best_of_n: {
    summary: 'draws answers, returns the one the reward ranks first',
    formula: 'argmax r(y_i), or P(i) ∝ exp(strength · r(y_i))',
    source: 'Stiennon et al. 2020 (arXiv 2009.01325); soft: Verdun et al. 2025 (arXiv 2505.03156)',
    member: 'outcome',
    fanOut: params => params.num_candidates,
    sharesChoices: true
  },
  beam_search: {
    summary: 'grows beams by sampled steps, keeps those whose prefixes the reward ranks first',
    formula: 'top num_beams of num_beams · num_children prefixes by r(y≤t)',
    source: 'Snell et al. 2024 (arXiv 2408.03314); blockwise: Mudgal et al. 2023 (arXiv 2310.17022)',
    member: 'prefix',
    fanOut: params => params.num_beams * params.num_children,
    sharesChoices: true
  },
  token_guidance: {
    summary: 'draws each token with the reward of the prefix it would make',
    formula: 'log π(v) + strength · g(r(y≤t v)) over the candidates v',
    source: 'ARGS: Khanov et al. 2024 (arXiv 2402.01694); RAD: Deng and Raffel 2023 (arXiv 2310.09520); CD: Mudgal et al. 2023',
    member: 'prefix',
    fanOut: params => params.candidates.top_k + 1,
    sharesChoices: false
  }
}

export const strategyNames = Object.keys(strategySchemas) as StrategyName[]

/** Known in the field or planned, but not built: refused with a word on it rather than as a misspelling. */
const notBuilt = new Set(['dvts', 'rebase', 'particle_filter', 'segment_rejection', 'speculative_rejection'])

function strategyOf (fields: Record<string, unknown>): StrategyName {
  const { strategy, reward, rewards } = fields
  if (strategy === undefined || strategy === null) {
    if (reward === undefined && rewards === undefined) throw refuse('alignment.strategy', `must be given where there is no reward: one of ${strategyNames.join(', ')}`, strategy ?? null)
    return 'best_of_n'
  }
  if (typeof strategy === 'string' && Object.hasOwn(strategySchemas, strategy)) return strategy as StrategyName
  const planned = typeof strategy === 'string' && notBuilt.has(strategy)
  throw refuse('alignment.strategy', `${planned ? 'is not supported yet' : 'is not known'}; it must be one of ${strategyNames.join(', ')}`, strategy)
}

/** `reward: "name"` → `rewards`. */
function rewardsOf (fields: Record<string, unknown>): unknown {
  const { reward, rewards } = fields
  if (reward === undefined || reward === null) return rewards
  if (rewards !== undefined && rewards !== null) throw refuse('alignment.reward', 'and alignment.rewards cannot both be given', reward)
  if (typeof reward !== 'string' || reward === '') throw refuse('alignment.reward', 'must be the name of a reward', reward)
  return [{ name: reward, weight: 1 }]
}

/** Fields that belong to another strategy are named as such. */
function checkOwnership (strategy: StrategyName, fields: Record<string, unknown>): void {
  for (const name of Object.keys(fields)) {
    if (name in strategySchemas[strategy].properties) continue
    if (name === 'beam_width') throw new RequestError('invalid_request', 'alignment.beam_width means different things in different systems; say num_beams (kept) and num_children (drawn of each)', { param: 'alignment.beam_width' })
    const owners = strategyNames.filter(one => name in strategySchemas[one].properties)
    if (owners.length > 0) throw new RequestError('invalid_request', `alignment.${name} is a field of ${owners.join(' and ')}, not of ${strategy}`, { param: `alignment.${name}` })
  }
}

/**
 * Checks an `alignment` object and fills its defaults in.
 * @throws RequestError naming the field, the rule and the value; for an unknown field the nearest known one
 */
export function parseAlignment (value: unknown): AlignmentRequest {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('alignment', 'must be an object', value)
  const { strategy: _, reward: __, ...fields } = value as Record<string, unknown>
  const strategy = strategyOf(value as Record<string, unknown>)
  const rewards = rewardsOf(value as Record<string, unknown>)
  checkOwnership(strategy, fields)
  const params = checkFields(schemaOf(strategy), { ...fields, rewards }, 'alignment')
  if ((params['rewards'] as unknown[]).length === 0) throw refuse('alignment.reward', `is needed by ${strategy}: the name of a reward`, null)
  const names = (params['rewards'] as Array<{ name: string }>).map(one => one.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw refuse('alignment.rewards', 'may name each reward once', twice)
  return { strategy, ...params } as unknown as AlignmentRequest
}

/** Sequences that a request holds at the same time, at most. @param n choices */
export function fanOut (alignment: AlignmentRequest | null, n: number): number {
  if (!alignment) return n
  const facts = strategyFacts[alignment.strategy] as StrategyFacts<StrategyName>
  const wide = facts.fanOut(alignment as never)
  return facts.sharesChoices ? wide : wide * n
}

/**
 * Checks how many choices a strategy can return.
 * @throws RequestError naming the rule and n
 */
export function checkChoices (alignment: AlignmentRequest | null, n: number): void {
  if (alignment?.strategy === 'best_of_n' && n > alignment.num_candidates) throw refuse('n', `must be at most alignment.num_candidates = ${alignment.num_candidates}`, n)
  if (alignment?.strategy === 'beam_search' && n > 1) throw refuse('n', 'must be 1 with beam_search: beams share tokens', n)
}

/** Answers that a request lets grow to full length, at most: what the operator's ceiling counts. @param n choices */
export function answersGrown (alignment: AlignmentRequest | null, n: number): number {
  if (alignment?.strategy === 'best_of_n') return alignment.num_candidates
  if (alignment?.strategy === 'beam_search') return alignment.num_beams * alignment.num_children
  return n
}

/** The schema of a strategy's own parameters and the common ones, for documentation. */
export const schemaOf = (strategy: StrategyName): TObject<TProperties> => strategySchemas[strategy]

/** The whole `alignment` object as JSON Schema. */
export const alignmentSchema = {
  anyOf: strategyNames.map(name => ({
    type: 'object',
    properties: { strategy: { const: name, ...(name === 'best_of_n' ? { default: name } : {}) }, reward: { type: 'string' }, ...strategySchemas[name].properties },
    additionalProperties: false
  }))
}
