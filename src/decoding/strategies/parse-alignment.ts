/** From an `alignment` object to a checked request: which strategy, defaults, rewards. */
import type { TObject } from 'typebox'
import { Checker } from '../../checker.js'
import { RequestError } from '../../errors.js'
import { isObject, refuse } from '../../validation.js'
import { maxOfPoisson } from '../selection/poisson.js'
import { checkTogether, isGiven, type Fields } from './parameter-rules.js'
import {
  methodPresets, maxPoissonMean, schemaOf, strategyNames, strategySchemas, type AlignmentRequest, type StrategyName
} from './strategy-schemas.js'

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
  for (const [name, value] of Object.entries(fields)) {
    if (!isGiven(value) || name in strategySchemas[strategy].properties) continue
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
  return typeof mean === 'number' && mean >= 0 && mean <= maxPoissonMean ? { num_candidates: maxOfPoisson(mean) } : {}
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
