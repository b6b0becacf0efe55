/** Rules between the fields of one strategy, and between them and the rest of the request. */
import { refuse } from '../../validation.js'
import { maxOfPoisson } from '../selection/poisson.js'
import { strategyFacts } from './strategy-facts.js'
import { methodPresets, type AlignmentRequest, type ParametersOf, type StrategyName } from './strategy-schemas.js'

/** An `alignment` object as the caller wrote it. */
export type Fields = Readonly<Record<string, unknown>>

export const isGiven = (value: unknown): boolean => value !== undefined && value !== null

/** @param rule in words, what the value breaks */
function check (holds: boolean, field: string, rule: string, value: unknown): void {
  if (!holds) throw refuse(`alignment.${field}`, rule, value)
}

/** Of some fields of an object exactly one must be given. */
function checkOneOf (field: string, value: object, names: readonly string[]): void {
  check(names.filter(name => name in value).length === 1, field, `must have exactly one of ${names.join(', ')}`, value)
}

/** Field → the selections that read it. Given with another it would do nothing. */
const readBySelection: Readonly<Record<string, readonly string[]>> = {
  strength: ['softmax', 'pessimistic'],
  min_reward: ['threshold'],
  fallback: ['threshold'],
  logprob_weight: ['kl_regularized'],
  similarity_weight: ['mbr_regularized'],
  extract: ['majority', 'weighted_majority']
}

function checkSelection (given: Fields, selection: string): void {
  for (const [field, selections] of Object.entries(readBySelection)) {
    check(!isGiven(given[field]) || selections.includes(selection), field,
      `is read by selection ${selections.join(' and ')} only; the selection is ${selection}`, given[field])
  }
  check(selection !== 'threshold' || isGiven(given['min_reward']), 'min_reward', 'is needed by selection threshold',
    null)
}

type BestOfN = ParametersOf<'best_of_n'>

function checkPoisson ({ selection, stop_when: stop, num_candidates: max }: BestOfN, mean: number): void {
  check(selection === 'argmax', 'poisson_mean', `needs selection argmax; the selection is ${selection as string}`, mean)
  check(!stop, 'poisson_mean', 'cannot be given with stop_when: both say how many answers are drawn', mean)
  check(max >= maxOfPoisson(mean), 'num_candidates', `must be at least ${maxOfPoisson(mean)} with poisson_mean ` +
    `${mean}, which may draw so many answers, or be left out`, max)
}

function checkStop ({ selection }: BestOfN, stop: NonNullable<BestOfN['stop_when']>): void {
  checkOneOf('stop_when', stop, ['min_reward', 'leader_probability', 'majority_probability'])
  check(!stop.eager || 'min_reward' in stop, 'stop_when.eager',
    'needs min_reward: only of a reward that is enough can it be known before the end whether it is reached', true)
  const votes = selection === 'majority' || selection === 'weighted_majority'
  check(votes || !('majority_probability' in stop), 'stop_when.majority_probability',
    'needs selection majority or weighted_majority', stop.majority_probability)
  check(!votes || !('leader_probability' in stop), 'stop_when.leader_probability',
    'needs a selection by reward; votes have majority_probability', stop.leader_probability)
}

type Guidance = ParametersOf<'token_guidance'>

/** What only one source of values can do. */
function checkSource ({ source, method, contrast, candidates }: Guidance, given: Fields): void {
  const needed =
    method === null ? source : (methodPresets[method] as { readonly source?: string }).source ?? 'prefix'
  check(source === needed, 'source', `must be ${needed as string} with method ${method as string}`, source)
  if (source === 'contrast') return checkContrast(method, contrast, given)
  check(!contrast, 'source', 'must be contrast where alignment.contrast is given', source)
  check(source !== 'next_token' || !isGiven(given['allow_scope_mismatch']), 'allow_scope_mismatch',
    'is not read with source next_token', given['allow_scope_mismatch'])
  check(source !== 'prefix' || candidates.top_k > 0, 'candidates.top_k',
    'must be from 1 to 128 with source prefix, which reads the answer with each candidate', 0)
}

function checkContrast (method: Guidance['method'], contrast: Guidance['contrast'], given: Fields): void {
  const [toward, away] = [Boolean(contrast?.toward), Boolean(contrast?.away)]
  check(toward || away, 'contrast', 'must have toward, away or both with source contrast', contrast)
  for (const field of ['reward', 'rewards', 'reward_scale', 'allow_scope_mismatch']) {
    check(!isGiven(given[field]), field, 'is not read with source contrast', given[field])
  }
  check(method !== 'genarm' || (toward && !away), 'contrast', 'must have toward, and not away, with method genarm',
    contrast)
  check(method !== 'proxy_tuning' || (toward && away), 'contrast',
    'must have toward and away with method proxy_tuning', contrast)
}

/** Rules of each strategy that has any. @param given as the caller wrote them */
const rules: { readonly [N in StrategyName]?: (params: ParametersOf<N>, given: Fields) => void } = {
  best_of_n: params => {
    const { max_kl: maxKl, selection, stop_when: stop, poisson_mean: mean } = params
    check(maxKl === null || selection === 'softmax', 'max_kl',
      `can be enforced with selection softmax only; the selection is ${selection as string}`, maxKl)
    check(maxKl === null || !stop, 'max_kl',
      'cannot be enforced with stop_when: how many answers are drawn depends on what they are', maxKl)
    if (mean !== null) checkPoisson(params, mean)
    if (stop) checkStop(params, stop)
  },
  speculative_rejection: ({ checkpoints }) => {
    check(checkpoints.every((tokens, index) => index === 0 || tokens > checkpoints[index - 1]!), 'checkpoints',
      'must rise', checkpoints)
  },
  beam_search: ({ keep }, { strength }) => {
    check(!isGiven(strength) || keep !== 'top', 'strength', 'is read with keep: sample only', strength)
  },
  particle_filter: ({ num_iterations: iterations, num_particles: count }) => {
    check(iterations === 1 || count > 1, 'num_iterations',
      'must be 1 with one particle: it would be retained for ever', iterations)
  },
  segment_rejection: ({ segment, reward_scale: scale, target_reward: target }) => {
    checkOneOf('segment', segment, ['entropy', 'tokens'])
    check(scale !== 'raw' || target !== null, 'target_reward', 'is needed with reward_scale: raw', null)
  },
  token_guidance: (params, given) => {
    checkSource(params, given)
    const { max_kl: maxKl, draw, outside, transform, candidates } = params
    check(maxKl === null || draw === 'sample', 'max_kl',
      `can be enforced with draw sample only; the draw is ${draw as string}`, maxKl)
    check(outside !== 'keep' || candidates.top_k > 0, 'outside',
      'must be mask with candidates.top_k 0: none of the tokens is outside', outside)
    check(outside !== 'keep' || transform === 'centered', 'transform',
      'must be centered with outside: keep: a constant added to some tokens only is not neutral', transform)
  }
}

/** Checks the rules between the fields of a strategy. @param given as the caller wrote them */
export function checkTogether (request: AlignmentRequest, given: Fields): void {
  if ('selection' in request) checkSelection(given, request.selection as string)
  if ('step' in request) checkOneOf('step', request.step, ['tokens', 'delimiter'])
  rules[request.strategy]?.(request as never, given)
}

/**
 * Checks whether a strategy can do at a temperature what it is asked to.
 * @throws RequestError naming the rule and the value
 */
export function checkTemperature (alignment: AlignmentRequest | null, temperature: number): void {
  if (alignment?.strategy === 'token_guidance' && alignment.max_kl !== null && temperature === 0) {
    throw refuse('alignment.max_kl', 'can be enforced with a temperature above 0 only; the temperature is 0',
      alignment.max_kl)
  }
}

/**
 * Checks how many choices a strategy can return.
 * @throws RequestError naming the rule and n
 */
export function checkChoices (alignment: AlignmentRequest | null, n: number): void {
  if (!alignment || n === 1 || !strategyFacts[alignment.strategy].sharesChoices) return
  if (alignment.strategy !== 'best_of_n') {
    throw refuse('n', `must be 1 with ${alignment.strategy}: its candidates share tokens or were cut short`, n)
  }
  if (n > alignment.num_candidates) {
    throw refuse('n', `must be at most alignment.num_candidates = ${alignment.num_candidates}`, n)
  }
  if (alignment.selection !== 'argmax' && alignment.selection !== 'softmax') {
    throw refuse('n', `must be 1 with selection ${alignment.selection as string}`, n)
  }
  if (alignment.stop_when) throw refuse('n', 'must be 1 with stop_when', n)
  if (alignment.poisson_mean !== null) {
    throw refuse('n', 'must be 1 with poisson_mean: one answer may be all that is drawn', n)
  }
}
