/**
 * Bodies of `POST /v1/rewards/score`, `/v1/score` and `/v1/rerank`, and how each becomes a request to the inference
 * thread.
 */
import { Type, type Static } from 'typebox'
import { Checker } from '../../checker.js'
import type { ScoreRequest } from '../../serving/calls.js'
import type { ChatMessage } from '../../rewards/scorer.js'
import { refuse } from '../../validation.js'
import type { Catalog } from '../models/model-catalog.js'
import { messageOf, messageSchema } from '../chat/message-schema.js'
import { openBody } from '../schemas/body.js'

/** Texts scored by one request, at most. */
const mostItems = 1024
const closed = { additionalProperties: false } as const
const text = Type.String({ maxLength: 1 << 20 })

const itemSchema = Type.Object({
  prompt: Type.Optional(Type.String({ minLength: 1, description: 'what was asked, as one user message' })),
  messages: Type.Optional(Type.Array(messageSchema, {
    minItems: 1,
    maxItems: 4096,
    description: 'the conversation; without answer its last message, of the assistant, is scored'
  })),
  answer: Type.Optional(text)
}, closed)

export const rewardScoreSchema = Type.Object({
  model: Type.Optional(Type.String({
    minLength: 1, description: 'id of a model in GET /v1/models; default the first that has the rewards'
  })),
  reward: Type.Optional(Type.String({ minLength: 1, description: 'short for rewards: one of weight 1' })),
  rewards: Type.Optional(Type.Array(Type.Object(
    { name: Type.String({ minLength: 1 }), weight: Type.Number({ minimum: -1000, maximum: 1000, default: 1 }) }, closed
  ), { minItems: 1, maxItems: 16 })),
  reward_scale: Type.Enum(['standardized', 'raw'], { default: 'standardized' }),
  member: Type.Optional(Type.Enum(['outcome', 'prefix'],
    { description: 'answers are whole (default), or prefixes of answers' })),
  every: Type.Optional(Type.Integer({
    minimum: 1,
    maximum: 1 << 20,
    description: 'score each answer after every so many tokens too, with the prefix member'
  })),
  input: Type.Array(itemSchema, { minItems: 1, maxItems: mostItems })
}, closed)

const scoreSchema = Type.Object({
  model: Type.String({ minLength: 1, description: 'name of a reward' }),
  text_1: Type.Union([text, Type.Array(text, { minItems: 1, maxItems: mostItems })]),
  text_2: Type.Union([text, Type.Array(text, { minItems: 1, maxItems: mostItems })])
})

const rerankSchema = Type.Object({
  model: Type.String({ minLength: 1, description: 'name of a reward' }),
  query: Type.String({ minLength: 1 }),
  documents: Type.Array(Type.Union([text, Type.Object({ text })]), { minItems: 1, maxItems: mostItems }),
  top_n: Type.Integer({ minimum: 0, maximum: 1 << 20, default: 0, description: '0 returns all' }),
  return_documents: Type.Boolean({ default: true })
})

export type RewardScoreBody = Static<typeof rewardScoreSchema>
export type ScoreBody = Static<typeof scoreSchema>
export type RerankBody = Static<typeof rerankSchema>
export const rewardScoreBody = new Checker(rewardScoreSchema)
export const scoreBody = openBody(scoreSchema)
export const rerankBody = openBody(rerankSchema)

type Item = ScoreRequest['items'][number]
const asked = (content: string): ChatMessage[] => [{ role: 'user', content }]

/** A pair of prompt and answer, or a conversation with an answer beside it or at its end. */
function itemOf ({ prompt, messages, answer }: Static<typeof itemSchema>, path: string): Item {
  if ((prompt === undefined) === (messages === undefined)) {
    throw refuse(path, 'must have either prompt or messages', { prompt, messages })
  }
  if (answer !== undefined) return { messages: prompt === undefined ? messages!.map(messageOf) : asked(prompt), answer }
  if (prompt !== undefined) throw refuse(`${path}.answer`, 'must be given with prompt', undefined)
  const chat = messages!.map(messageOf)
  const last = chat.pop()!
  if (last.role !== 'assistant' || chat.length === 0) {
    throw refuse(`${path}.messages`, 'must end in an answer of the assistant where there is no answer beside it',
      messages)
  }
  return { messages: chat, answer: last.content }
}

function rewardsOf ({ reward, rewards }: RewardScoreBody): ScoreRequest['rewards'] {
  if ((reward === undefined) === (rewards === undefined)) {
    throw refuse('reward', 'or rewards must be given, not both', reward)
  }
  return rewards ?? [{ name: reward!, weight: 1 }]
}

/** @throws RequestError for fields that contradict each other; model_not_found */
export function parseRewardScore (body: RewardScoreBody, catalog: Catalog): ScoreRequest {
  const { every = null, member = every === null ? 'outcome' : 'prefix' } = body
  if (every !== null && member === 'outcome') throw refuse('every', 'needs the prefix member', every)
  const rewards = rewardsOf(body)
  return {
    model: catalog.forRewards(body.model ?? null, rewards.map(({ name }) => name)).id,
    rewards,
    scale: body.reward_scale,
    member,
    items: body.input.map((item, index) => itemOf(item, `input[${index}]`)),
    every,
    cacheSalt: '',
    fields: { rewards: 'rewards', items: 'input' }
  }
}

/** Answers as they are, read by the first model that has the reward. */
function whole (catalog: Catalog, reward: string, items: readonly Item[], field: string): ScoreRequest {
  return {
    model: catalog.forRewards(null, [reward]).id,
    rewards: [{ name: reward, weight: 1 }],
    scale: 'standardized',
    member: 'outcome',
    items,
    every: null,
    cacheSalt: '',
    fields: { rewards: 'model', items: field }
  }
}

/** vLLM's: one text_1 for all text_2, or one each. @throws RequestError */
export function parseScore (body: ScoreBody, catalog: Catalog): ScoreRequest {
  const [first, second] = [body.text_1, body.text_2].map(one => typeof one === 'string' ? [one] : one) as [string[],
    string[]]
  if (first.length !== 1 && first.length !== second.length) {
    throw refuse('text_1', `must be one text, or as many as text_2, ${second.length}`, first.length)
  }
  return whole(catalog, body.model,
    second.map((answer, index) => ({ messages: asked(first.length === 1 ? first[0]! : first[index]!), answer })),
    'text_2')
}

export interface RerankRequest {
  readonly score: ScoreRequest
  /** How many are returned, at most. */
  readonly top: number
  readonly returnDocuments: boolean
}

/** Jina's and vLLM's: documents as answers to the query. */
export function parseRerank (body: RerankBody, catalog: Catalog): RerankRequest {
  const items = body.documents.map(document => ({
    messages: asked(body.query), answer: typeof document === 'string' ? document : document.text
  }))
  return {
    score: whole(catalog, body.model, items, 'documents'),
    top: body.top_n === 0 ? items.length : body.top_n,
    returnDocuments: body.return_documents
  }
}
