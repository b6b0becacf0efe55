/**
 * From an `alignment` object to a checked request: which strategy, defaults, and the rules between fields. Also what a
 * request will take.
 */
import { Checker } from '../../checker.js'
import type { TObject } from 'typebox'
import { RequestError } from '../../errors.js'
import { isObject, refuse } from '../../validation.js'
import { mostOfPoisson } from '../selection/poisson.js'
import { strategyFacts } from './strategy-facts.js'
import {
  methodPresets, mostPoissonMean, schemaOf, strategyNames, strategySchemas, type AlignmentRequest, type StrategyName
} from './strategy-schemas.js'

type Fields = Record<string, unknown>

const isGiven = (value: unknown): boolean => value !== undefined && value !== null

function strategyOf ({ strategy, reward, rewards }: Fields): StrategyName {
  if (!isGiven(strategy)) {
    if (reward === undefined && rewards === undefined) {
      throw refuse('alignment.strategy', `must be given where there is no reward: one of ${strategyNames.join(', ')}`,
        strategy ?? null)
    }
    return 'best_of_n'
  }
  if (typeof strategy === 'string' && Object.hasOwn(strategySchemas, strategy)) return strategy as StrategyName
  throw refuse('alignment.strategy', `is not known; it must be one of ${strategyNames.join(', ')}`, strategy)
}

/** `reward: "name"` → `rewards`. */
function rewardsOf ({ reward, rewards }: Fields): unknown {
  if (!isGiven(reward)) return rewards
  if (isGiven(rewards)) throw refuse('alignment.reward', 'and alignment.rewards cannot both be given', reward)
  if (typeof reward !== 'string' ||
      reward === '') throw refuse('alignment.reward', 'must be the name of a reward', reward)
  return [{ name: reward, weight: 1 }]
}

/** Fields that belong to another strategy are named as such. */
function checkOwnership (strategy: StrategyName, fields: Fields): void {
  for (const name of Object.keys(fields)) {
    if (name in strategySchemas[strategy].properties) continue
    if (name === 'beam_width') {
      throw new RequestError('invalid_request', 'alignment.beam_width means different things in different systems; ' +
        'say num_beams (kept) and num_children (drawn of each)', { param: 'alignment.beam_width' })
    }
    const owners = strategyNames.filter(one => name in strategySchemas[one].properties)
    if (owners.length > 0) {
      throw new RequestError('invalid_request',
        `alignment.${name} is a field of ${owners.join(' and ')}, not of ${strategy}`, { param: `alignment.${name}` })
    }
  }
}

/** Of some fields of an object exactly one must be given. */
function checkOneOf (path: string, value: object, names: readonly string[]): void {
  if (names.filter(name => name in value).length !== 1) {
    throw refuse(path, `must have exactly one of ${names.join(', ')}`, value)
  }
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

function checkChoosing (given: Fields, selection: string): void {
  for (const [field, selections] of Object.entries(readBySelection)) {
    if (isGiven(given[field]) && !selections.includes(selection)) {
      throw refuse(`alignment.${field}`,
        `is read by selection ${selections.join(' and ')} only; the selection is ${selection}`, given[field])
    }
  }
  if (selection === 'threshold' &&
      !isGiven(given['min_reward'])) throw refuse('alignment.min_reward', 'is needed by selection threshold', null)
}

/** Rules between the fields of one strategy. @param given as the caller wrote them */
function checkTogether (request: AlignmentRequest, given: Fields): void {
  if ('selection' in request) checkChoosing(given, request.selection as string)
  if ('step' in request) checkOneOf('alignment.step', request.step, ['tokens', 'delimiter'])
  switch (request.strategy) {
    case 'best_of_n':
      if (request.max_kl !== null && request.selection !== 'softmax') {
        throw refuse('alignment.max_kl',
          `can be enforced with selection softmax only; the selection is ${request.selection as string}`,
          request.max_kl)
      }
      if (request.max_kl !== null && request.stop_when) {
        throw refuse('alignment.max_kl',
          'cannot be enforced with stop_when: how many answers are drawn depends on what they are', request.max_kl)
      }
      if (request.poisson_mean !== null) checkPoisson(request, request.poisson_mean)
      if (request.stop_when) checkStop(request, request.stop_when)
      break
    case 'speculative_rejection': {
      const { checkpoints } = request
      if (checkpoints.some((tokens, index) => index > 0 && tokens <= checkpoints[index - 1]!)) {
        throw refuse('alignment.checkpoints', 'must rise', checkpoints)
      }
      break
    }
    case 'beam_search':
      if (isGiven(given['strength']) && request.keep === 'top') {
        throw refuse('alignment.strength', 'is read with keep: sample only', given['strength'])
      }
      break
    case 'particle_filter':
      if (request.num_iterations > 1 && request.num_particles === 1) {
        throw refuse('alignment.num_iterations', 'must be 1 with one particle: it would be retained for ever',
          request.num_iterations)
      }
      break
    case 'segment_rejection':
      checkOneOf('alignment.segment', request.segment, ['entropy', 'tokens'])
      if (request.reward_scale === 'raw' && request.target_reward === null) {
        throw refuse('alignment.target_reward', 'is needed with reward_scale: raw', null)
      }
      break
    case 'token_guidance':
      checkContrast(request, given)
      if (request.max_kl !== null && request.draw !== 'sample') {
        throw refuse('alignment.max_kl', `can be enforced with draw sample only; the draw is ${request.draw as string}`,
          request.max_kl)
      }
      if (request.outside === 'keep' && request.candidates.top_k === 0) {
        throw refuse('alignment.outside', 'must be mask with candidates.top_k 0: none of the tokens is outside',
          request.outside)
      }
      if (request.outside === 'keep' && request.transform !== 'centered') {
        throw refuse('alignment.transform',
          'must be centered with outside: keep: a constant added to some tokens only is not neutral', request.transform)
      }
  }
}

/** Where values come from, and what only one source can do. */
function checkContrast (
  { source, method, contrast, candidates }: Extract<AlignmentRequest, { strategy: 'token_guidance' }>, given: Fields
): void {
  const needed =
    method === null ? undefined : (methodPresets[method] as { readonly source?: string }).source ?? 'prefix'
  if (needed !== undefined &&
      source !== needed) throw refuse('alignment.source', `must be ${needed} with method ${method}`, source)
  if (source !== 'contrast') {
    if (contrast) throw refuse('alignment.source', 'must be contrast where alignment.contrast is given', source)
    if (source === 'next_token' && isGiven(given['allow_scope_mismatch'])) {
      throw refuse('alignment.allow_scope_mismatch', 'is not read with source next_token',
        given['allow_scope_mismatch'])
    }
    if (source === 'prefix' && candidates.top_k === 0) {
      throw refuse('alignment.candidates.top_k',
        'must be from 1 to 128 with source prefix, which reads the answer with each candidate', 0)
    }
    return
  }
  if (!contrast || (!contrast.toward && !contrast.away)) {
    throw refuse('alignment.contrast', 'must have toward, away or both with source contrast', contrast)
  }
  for (const field of ['reward', 'rewards', 'reward_scale', 'allow_scope_mismatch']) {
    if (isGiven(given[field])) throw refuse(`alignment.${field}`, 'is not read with source contrast', given[field])
  }
  if (method === 'genarm' && (!contrast.toward || contrast.away)) {
    throw refuse('alignment.contrast', 'must have toward, and not away, with method genarm', contrast)
  }
  if (method === 'proxy_tuning' && !(contrast.toward && contrast.away)) {
    throw refuse('alignment.contrast', 'must have toward and away with method proxy_tuning', contrast)
  }
}

function checkPoisson (
  { selection, stop_when: stop, num_candidates: most }: Extract<AlignmentRequest, { strategy: 'best_of_n' }>,
  mean: number
): void {
  if (selection !== 'argmax') {
    throw refuse('alignment.poisson_mean', `needs selection argmax; the selection is ${selection as string}`, mean)
  }
  if (stop) {
    throw refuse('alignment.poisson_mean', 'cannot be given with stop_when: both say how many answers are drawn', mean)
  }
  if (most < mostOfPoisson(mean)) {
    throw refuse('alignment.num_candidates', `must be at least ${mostOfPoisson(mean)} with poisson_mean ${mean}, ` +
      'which may draw so many answers, or be left out', most)
  }
}

function checkStop ({ selection }: { readonly selection: unknown }, stop: object): void {
  checkOneOf('alignment.stop_when', stop, ['min_reward', 'leader_probability', 'majority_probability'])
  if ('eager' in stop && stop.eager === true && !('min_reward' in stop)) {
    throw refuse('alignment.stop_when.eager',
      'needs min_reward: only of a reward that is enough can it be told before the end whether it is had', true)
  }
  const votes = selection === 'majority' || selection === 'weighted_majority'
  if ('majority_probability' in stop && !votes) {
    throw refuse('alignment.stop_when.majority_probability', 'needs selection majority or weighted_majority',
      stop.majority_probability)
  }
  if ('leader_probability' in stop && votes) {
    throw refuse('alignment.stop_when.leader_probability',
      'needs a selection by reward; votes have majority_probability', stop.leader_probability)
  }
}

/** A selection or a source of values that looks at no reward. */
function needsNoReward ({ strategy, selection, stop_when: stop, source }: Fields): boolean {
  if (strategy === 'token_guidance') return source === 'contrast'
  const stopsByReward = 'min_reward' in Object(stop) || 'leader_probability' in Object(stop)
  return strategy === 'best_of_n' && (selection === 'majority' || selection === 'mbr') && !stopsByReward
}

function checkRewards (
  strategy: StrategyName, rewards: ReadonlyArray<{ readonly name: string }>, fields: Fields
): void {
  if (rewards.length === 0 &&
      !needsNoReward(fields)) throw refuse('alignment.reward', `is needed by ${strategy}: the name of a reward`, null)
  const names = rewards.map(one => one.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw refuse('alignment.rewards', 'may name each reward once', twice)
}

/** How many answers a Poisson may draw, where it is one. */
function impliedByPoisson (mean: unknown): Fields {
  return typeof mean === 'number' && mean >= 0 && mean <= mostPoissonMean ? { num_candidates: mostOfPoisson(mean) } : {}
}

/** What is given over a preset, field by field at every depth. */
function over (preset: Fields, fields: Fields): Fields {
  const given = Object.entries(fields).filter(([name, value]) => !(name in preset) || isGiven(value))
  return {
    ...preset,
    ...Object.fromEntries(given.map(([name, value]) =>
      [name, isObject(preset[name]) && isObject(value) ? over(preset[name], value) : value]))
  }
}

/** Fields with those filled in that a method of token guidance sets, or that others imply. */
function withPreset (fields: Fields): Fields {
  const method = typeof fields['method'] === 'string' && Object.hasOwn(methodPresets, fields['method'])
    ? methodPresets[fields['method'] as keyof typeof methodPresets]
    : {}
  const preset: Fields = {
    ...impliedByPoisson(fields['poisson_mean']),
    ...(isGiven(fields['contrast']) ? { source: 'contrast' } : {}),
    ...method
  }
  return over(preset, fields)
}

const checkers = Object.fromEntries(strategyNames.map(name =>
  [name, new Checker(schemaOf(name))])) as Record<StrategyName, Checker<TObject>>

/**
 * Checks an `alignment` object and fills its defaults in.
 * @throws RequestError naming the field, the rule and the value; for an unknown field the nearest known one
 */
export function parseAlignment (value: unknown): AlignmentRequest {
  if (!isObject(value)) throw refuse('alignment', 'must be an object', value)
  const { strategy: _, reward: __, ...fields } = value
  const strategy = strategyOf(value)
  const rewards = rewardsOf(value)
  checkOwnership(strategy, fields)
  const params = checkers[strategy].check({ ...withPreset(fields), rewards }, 'alignment') as Fields
  checkRewards(strategy, params['rewards'] as Array<{ name: string }>, { ...params, strategy })
  const request = { strategy, ...params } as unknown as AlignmentRequest
  checkTogether(request, value)
  return request
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

/** Whether candidates are compared by their hidden states. */
export const comparesAnswers = (alignment: AlignmentRequest | null): boolean =>
  alignment !== null && 'selection' in alignment &&
    (alignment.selection === 'mbr' || alignment.selection === 'mbr_regularized')

/** For one choice, or for all where they share candidates. */
function times (alignment: AlignmentRequest | null, n: number, count: 'fanOut' | 'grown'): number {
  if (!alignment) return n
  const facts = strategyFacts[alignment.strategy]
  const one = facts[count](alignment as never)
  return facts.sharesChoices ? one : one * n
}

/** Sequences that a request holds at the same time, at most. @param n choices */
export const fanOut = (alignment: AlignmentRequest | null, n: number): number => times(alignment, n, 'fanOut')

/** Tokens that may come next in a sequence and are looked at together, at most. */
export const probed = (alignment: AlignmentRequest | null): number =>
  alignment ? strategyFacts[alignment.strategy].probed?.(alignment as never) ?? 0 : 0

/** Answers that a request lets grow to full length, at most: what the operator's ceiling counts. @param n choices */
export const answersGrown = (alignment: AlignmentRequest | null, n: number): number => times(alignment, n, 'grown')

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
