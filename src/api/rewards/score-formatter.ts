/** Scores of given answers, and what is known of rewards, as responses. */
import { randomUUID } from 'node:crypto'
import type { Scored, ScoreRequest } from '../../serving/calls.js'
import type { RewardInfo } from '../../rewards/reward-info.js'
import { scoreFields } from '../alignment/alignment-formatter.js'
import { secondsNow } from '../generation/generation-state.js'
import type { RerankRequest } from './reward-score-schema.js'
import type {
  RerankedList, RewardCard, RewardListItem, RewardScore, RewardScores, ScoredList
} from './reward-types.js'

/** Texts that are scored are read like prompts: nothing is generated. */
function usageOf ({ usage }: Scored): RewardScores['usage'] {
  return {
    prompt_tokens: usage.tokens,
    total_tokens: usage.tokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    computed_tokens: usage.computedTokens
  }
}

const value = (scored: Scored, index: number): number => Number(scored.items[index]!.score.value.toFixed(6))

/** `POST /v1/rewards/score` */
export function rewardScores (request: ScoreRequest, scored: Scored): RewardScores {
  const data = scored.items.map(({ score, tokens, prefixes }, index): RewardScore => ({
    index,
    object: 'reward_score',
    ...scoreFields(score),
    tokens,
    ...(request.every === null
      ? {}
      : {
          prefixes: prefixes.map(prefix => ({ tokens: prefix.tokens, end: prefix.end, ...scoreFields(prefix.score) }))
        })
  }))
  return {
    object: 'list',
    model: request.model,
    rewards_used: scored.rewardsUsed,
    data,
    warnings: scored.warnings,
    usage: usageOf(scored)
  }
}

/** `POST /v1/score` */
export function scoreList ({ rewards }: ScoreRequest, scored: Scored): ScoredList {
  return {
    id: `score-${randomUUID()}`,
    object: 'list',
    created: secondsNow(),
    model: rewards[0]!.name,
    data: scored.items.map((_item, index) => ({ index, object: 'score', score: value(scored, index) })),
    warnings: scored.warnings,
    usage: usageOf(scored)
  }
}

/** `POST /v1/rerank`: best first, ties in the documents' order. */
export function rerankList ({ score, top, returnDocuments }: RerankRequest, scored: Scored): RerankedList {
  const results = score.items.map(({ answer }, index) => ({
    index, ...(returnDocuments ? { document: { text: answer } } : {}), relevance_score: value(scored, index)
  }))
  results.sort((a, b) => b.relevance_score - a.relevance_score || a.index - b.index)
  return {
    id: `rerank-${randomUUID()}`,
    model: score.rewards[0]!.name,
    results: results.slice(0, top),
    warnings: scored.warnings,
    usage: usageOf(scored)
  }
}

/** Keys in the wire's spelling, at any depth. */
function snakeCase (plain: unknown): unknown {
  if (Array.isArray(plain)) return plain.map(snakeCase)
  if (typeof plain !== 'object' || plain === null) return plain
  return Object.fromEntries(Object.entries(plain).map(([key, inner]) =>
    [key.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`), snakeCase(inner)]))
}

export function rewardObject (
  { name, kind, members, description, version, models, deletable }: RewardInfo
): RewardListItem {
  return { id: name, object: 'reward', kind, members, description, version, models, deletable }
}

export function rewardCard (info: RewardInfo): RewardCard {
  const { statistics, fit, metrics, nextToken, adaptation } = info
  return {
    ...rewardObject(info),
    ...snakeCase({ statistics, fit, metrics, nextToken, adaptation }) as Omit<RewardCard, keyof RewardListItem>
  }
}
