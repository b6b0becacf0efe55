/** `GET /v1/rewards`, `GET /v1/rewards/:id` and `POST /v1/rewards/score`. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { RequestError } from '../../errors.js'
import { documented } from '../openapi.js'
import { rewardCard, rewardObject, rewardScores } from '../score-format.js'
import { parseRewardScore, rewardScoreSchema } from '../schemas/reward-score.js'
import { rewardList, rewardObject as describedReward, rewardScoreList } from '../schemas/responses.js'
import { scoreFor } from '../scoring.js'
import type { Services } from '../services.js'

export function rewards (app: FastifyInstance, services: Services): void {
  app.get('/v1/rewards', documented('Lists the rewards', { response: rewardList }), () => ({ object: 'list', data: services.inference.rewards.map(rewardObject) }))
  app.get<{ Params: { id: string } }>('/v1/rewards/:id', documented('One reward, with its card', { response: describedReward, params: Type.Object({ id: Type.String() }) }), ({ params: { id } }) => {
    const all = services.inference.rewards
    const info = all.find(({ name }) => name === id)
    if (!info) throw new RequestError('reward_not_found', `reward ${JSON.stringify(id)} does not exist; there are: ${all.map(({ name }) => name).join(', ') || 'none'}`, { param: 'id' })
    return rewardCard(info)
  })
  app.post('/v1/rewards/score', documented('Scores given answers', { body: rewardScoreSchema, response: rewardScoreList }), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const request = parseRewardScore(httpRequest.body, services.inference.model.id)
    return rewardScores(request, await scoreFor(services, request, httpRequest, reply))
  })
}
