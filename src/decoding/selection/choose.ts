/**
 * Chooses among finished candidates by a request's selection: the rules of `selection-rules.ts` and `votes.ts`, their
 * KL, what to warn of.
 */
import { RequestError } from '../../errors.js'
import type { Candidate } from '../candidate.js'
import type { Random } from '../../policies/random-stream.js'
import type { DecodeResult, KlReport } from '../result.js'
import {
  bestOfNKl, meanSimilarities, pessimisticWeights, selectArgmax, selectByRejection, selectSoftmax, softmaxKl,
  softmaxWeightsWithin
} from './selection-rules.js'
import type { ChoosingParams } from '../strategies/strategy-schemas.js'
import { voteGroups, winner } from './votes.js'

export interface Chosen extends Partial<Pick<DecodeResult, 'warnings' | 'details'>> {
  /** Positions among the candidates, best first. */
  readonly positions: readonly number[]
  /** Of the first, where the candidates are independent draws from the policy. */
  readonly kl: KlReport
}

/** Rules that look at other candidates than the chosen one can cost as much as picking any of n. */
const lnBound = (count: number): KlReport => ({ value: Math.log(count), kind: 'upper_bound' })

function chooseAboveThreshold (
  rewards: readonly number[], best: number, { min_reward: min, fallback }: ChoosingParams
): Chosen {
  const kl: KlReport =
    fallback === 'best' ? { value: bestOfNKl(rewards.length), kind: 'upper_bound' } : { value: null, kind: null }
  if (rewards[best]! >= min!) return { positions: [best], kl }
  const message = `the best of ${rewards.length} answers has reward ${rewards[best]!.toFixed(6)}, below min_reward ` +
    `${min}`
  if (fallback === 'error') throw new RequestError('reward_below_threshold', message, { param: 'alignment.min_reward' })
  return {
    positions: [best],
    kl,
    warnings: [{ code: 'reward_below_threshold', message: `${message}; it is returned all the same` }]
  }
}

/** The answer that most say; of its group the one with the best reward, or the first. */
function chooseByVotes (candidates: readonly Candidate[], { selection, extract }: ChoosingParams): Chosen {
  const rewards = candidates.map(candidate => candidate.score?.value ?? 0)
  const votes = selection === 'majority' ? candidates.map(() => 1) : rewards
  const groups = voteGroups(candidates.map(candidate => candidate.text), extract)
  const { members } = winner(groups, votes)
  const position = members.reduce((best, index) => rewards[index]! > rewards[best]! ? index : best)
  const counted = groups.map(group => ({
    answer: group.answer,
    count: group.members.length,
    votes: group.members.reduce((sum, index) => sum + votes[index]!, 0)
  }))
  const warnings = votes.some(vote => vote < 0)
    ? [{
        code: 'negative_votes',
        message: 'some rewards are below 0, so that they count against their answer; weighted_majority is meant for ' +
        'rewards from 0 on (reward_scale: raw)'
      }]
    : []
  return {
    positions: [position],
    kl: lnBound(candidates.length),
    warnings,
    details: { votes: counted.sort((a, b) => b.votes - a.votes) }
  }
}

/**
 * Chooses.
 * @param candidates at least one, all finished and scored (majority and mbr need no scores)
 * @param n choices; above 1 for argmax and softmax only
 * @throws RequestError `reward_below_threshold` where the request asked for it
 */
export function choose (
  candidates: readonly Candidate[], params: ChoosingParams & { readonly max_kl?: number | null }, n: number,
  random: Random
): Chosen {
  const { selection, strength } = params
  if (selection === 'majority' || selection === 'weighted_majority') return chooseByVotes(candidates, params)
  if (selection === 'mbr') {
    return {
      positions: selectArgmax(meanSimilarities(candidates.map(candidate => candidate.embedding!)), 1),
      kl: lnBound(candidates.length)
    }
  }
  const rewards = candidates.map(candidate => candidate.score!.value)
  switch (selection) {
    case 'softmax': {
      const weights = softmaxWeightsWithin(rewards, strength, params.max_kl ?? Infinity)
      return { positions: selectSoftmax(weights, n, random), kl: softmaxKl(weights) }
    }
    case 'pessimistic':
      return {
        positions: [selectByRejection(pessimisticWeights(rewards, strength), random)], kl: lnBound(candidates.length)
      }
    case 'threshold':
      return chooseAboveThreshold(rewards, selectArgmax(rewards, 1)[0]!, params)
    case 'mbr_regularized': {
      const similarities = meanSimilarities(candidates.map(candidate => candidate.embedding!))
      return {
        positions: selectArgmax(
          rewards.map((reward, index) => reward + params.similarity_weight * similarities[index]!), 1
        ),
        kl: lnBound(candidates.length)
      }
    }
    case 'kl_regularized': {
      const regularized = candidates.map(({ logprob }, index) => rewards[index]! + params.logprob_weight * logprob)
      // A score of the answer alone: the bound of best-of-n holds.
      return {
        positions: selectArgmax(regularized, 1), kl: { value: bestOfNKl(candidates.length), kind: 'upper_bound' }
      }
    }
    default:
      return { positions: selectArgmax(rewards, n), kl: { value: bestOfNKl(candidates.length), kind: 'upper_bound' } }
  }
}
