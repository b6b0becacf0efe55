/**
 * Rewards: `GET /v1/rewards`, `GET` and `DELETE /v1/rewards/:id`, `POST /v1/rewards/score` and `POST /v1/rewards/fit`.
 */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { RequestError } from '../../errors.js'
import { answer } from '../transport/answer.js'
import { FitFormatter, fitEvents } from './fit-formatter.js'
import { documented } from '../plugins/openapi.js'
import { rewardCard, rewardObject, rewardScores } from './score-formatter.js'
import { parseRewardScore, rewardScoreBody, type RewardScoreBody } from './reward-score-schema.js'
import { parseRewardFit, rewardFitBody, type RewardFitBody } from './reward-fit-schema.js'
import {
  adaptBody, parseAdapt, parseSuggest, suggestBody, type AdaptBody, type SuggestBody
} from './reward-adapt-schema.js'
import {
  deletedObject, rewardList, rewardObject as describedReward, suggestionList
} from '../schemas/answer-schemas.js'
import { rewardScoreList } from './reward-types.js'
import { callFor, scoreFor } from '../transport/ask.js'
import type { Services } from '../services.js'

interface WithId { Params: { id: string } }
const params = Type.Object({ id: Type.String() })

export function rewards (app: FastifyInstance, services: Services): void {
  app.get('/v1/rewards', documented('Lists the rewards', { response: rewardList }),
    () => ({ object: 'list', data: services.inference.rewards.map(rewardObject) }))
  app.get<{ Params: { id: string } }>('/v1/rewards/:id', documented('One reward, with its card',
    { response: describedReward, params }), ({ params: { id } }) => {
    const all = services.inference.rewards
    const info = all.find(({ name }) => name === id)
    if (!info) {
      throw new RequestError('reward_not_found',
        `reward ${JSON.stringify(id)} does not exist; there are: ${all.map(({ name }) => name).join(', ') || 'none'}`,
        { param: 'id' })
    }
    return rewardCard(info)
  })
  app.post<{ Body: RewardScoreBody }>('/v1/rewards/score', documented('Scores given answers',
    { body: rewardScoreBody, response: rewardScoreList }), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const request = parseRewardScore(httpRequest.body, services.catalog)
    return rewardScores(request, await scoreFor(services, request, httpRequest, reply))
  })
  app.post<{ Body: RewardFitBody }>('/v1/rewards/fit', documented('Fits a reward on examples and keeps it', {
    body: rewardFitBody, response: describedReward, streams: true, access: 'admin'
  }), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const { fit, stream } =
      parseRewardFit(httpRequest.body, services.catalog, (dataset, kind) => services.feedback.examples(dataset, kind))
    return await answer(httpRequest, reply, {
      stream,
      services,
      formatter: new FitFormatter(),
      events: signal => fitEvents(services.inference, fit, signal)
    })
  })
  app.post<WithId & { Body: AdaptBody }>('/v1/rewards/:id/adapt', documented(
    'Makes a user’s own reward from a few pairs and keeps it', {
      params, body: adaptBody, response: describedReward, access: 'admin'
    }
  ), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const request = parseAdapt(httpRequest.body, httpRequest.params.id, services.catalog)
    return rewardCard(await callFor(services, 'adapt', request, httpRequest, reply))
  })
  app.post<WithId & { Body: SuggestBody }>('/v1/rewards/:id/suggest', documented('Says which pairs to label next',
    { params, body: suggestBody, response: suggestionList, access: 'admin' }), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const request = parseSuggest(httpRequest.body, httpRequest.params.id, services.catalog)
    return { object: 'list', data: await callFor(services, 'suggest', request, httpRequest, reply) }
  })
  app.delete<WithId>('/v1/rewards/:id', documented('Deletes a reward that was fitted',
    { params, response: deletedObject, access: 'admin' }), async ({ params: { id } }) => {
    await services.inference.call('deleteReward', { name: id })
    return { id, object: 'reward', deleted: true }
  })
}
