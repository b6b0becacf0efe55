/**
 * Rewards: `GET /v1/rewards`, `GET` and `DELETE /v1/rewards/:id`, `POST /v1/rewards/score` and `/v1/rewards/fit`,
 * `/v1/rewards/:id/adapt` and `/suggest`.
 */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { RequestError } from '../../errors.js'
import type { RewardInfo } from '../../rewards/reward-info.js'
import { answer } from '../transport/answer.js'
import { FitFormatter, fitEvents } from './fit-formatter.js'
import { documented } from '../plugins/openapi.js'
import { rewardCard, rewardObject, rewardScores } from './score-formatter.js'
import { parseRewardScore, rewardScoreBody, type RewardScoreBody } from './reward-score-schema.js'
import { parseRewardFit, rewardFitBody, type RewardFitBody } from './reward-fit-schema.js'
import {
  adaptBody, parseAdapt, parseSuggest, suggestBody, type AdaptBody, type SuggestBody
} from './reward-adapt-schema.js'
import { deleted, deletedObject } from '../schemas/answer-schemas.js'
import { rewardCardObject, rewardList, rewardScoreList, suggestionList } from './reward-types.js'
import { callInference } from '../transport/inference-call.js'
import { sendList } from '../transport/list-json.js'
import { examplesOf } from '../../stores/chats.js'
import type { Services } from '../services.js'

interface WithId { Params: { id: string } }
const params = Type.Object({ id: Type.String() })

/** @throws RequestError reward_not_found, listing what there is */
function find ({ inference }: Services, id: string): RewardInfo {
  const found = inference.rewards.find(({ name }) => name === id)
  if (found) return found
  const names = inference.rewards.map(({ name }) => name).join(', ') || 'none'
  throw new RequestError('reward_not_found', `reward ${JSON.stringify(id)} does not exist; there are: ${names}`,
    { param: 'id' })
}

function listing (app: FastifyInstance, services: Services): void {
  app.get('/v1/rewards', documented('Lists the rewards', { response: rewardList }),
    (): Static<typeof rewardList> => ({ object: 'list', data: services.inference.rewards.map(rewardObject) }))
  app.get<WithId>('/v1/rewards/:id', documented('One reward, with its card', { response: rewardCardObject, params }),
    ({ params: { id } }) => rewardCard(find(services, id)))
  app.delete<WithId>('/v1/rewards/:id', documented('Deletes a reward that was fitted',
    { params, response: deletedObject, access: 'admin' }), async ({ params: { id } }) => {
    await services.inference.call('deleteReward', { name: id })
    return deleted(id, 'reward')
  })
}

function scoring (app: FastifyInstance, services: Services): void {
  app.post<{ Body: RewardScoreBody }>('/v1/rewards/score', documented('Scores given answers',
    { body: rewardScoreBody, response: rewardScoreList }), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const request = parseRewardScore(httpRequest.body, services.catalog)
    return await sendList(reply,
      rewardScores(request, await callInference(services, 'score', request, httpRequest, reply)))
  })
}

function fitting (app: FastifyInstance, services: Services): void {
  app.post<{ Body: RewardFitBody }>('/v1/rewards/fit', documented('Fits a reward on examples and keeps it', {
    body: rewardFitBody, response: rewardCardObject, streams: true, access: 'admin'
  }), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const { fit, stream } = await parseRewardFit(httpRequest.body, services.catalog,
      (dataset, kind) => examplesOf(services.store.chats, dataset, kind))
    return await answer(httpRequest, reply, {
      stream,
      services,
      formatter: new FitFormatter(),
      events: signal => fitEvents(services.inference, { ...fit, caller: httpRequest.caller.turn }, signal)
    })
  })
}

function adapting (app: FastifyInstance, services: Services): void {
  app.post<WithId & { Body: AdaptBody }>('/v1/rewards/:id/adapt', documented(
    'Makes a user’s own reward from a few pairs and keeps it', {
      params, body: adaptBody, response: rewardCardObject, access: 'admin'
    }
  ), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const request = parseAdapt(httpRequest.body, httpRequest.params.id, services.catalog)
    return rewardCard(await callInference(services, 'adapt', request, httpRequest, reply))
  })
  app.post<WithId & { Body: SuggestBody }>('/v1/rewards/:id/suggest', documented('Says which pairs to label next', {
    params, body: suggestBody, response: suggestionList, access: 'admin'
  }), async (httpRequest, reply): Promise<Static<typeof suggestionList>> => {
    services.refuseIfDraining()
    const request = parseSuggest(httpRequest.body, httpRequest.params.id, services.catalog)
    return { object: 'list', data: await callInference(services, 'suggest', request, httpRequest, reply) }
  })
}

export function rewards (app: FastifyInstance, services: Services): void {
  for (const routes of [listing, scoring, fitting, adapting]) routes(app, services)
}
