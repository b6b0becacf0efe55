/**
 * `POST /v1/score` and `POST /v1/rerank`, in the shapes of vLLM and Jina: `model` is the name of a reward, scores are
 * standardised.
 */
import type { FastifyInstance } from 'fastify'
import { documented } from '../plugins/openapi.js'
import { rerankList, scoreList } from './score-formatter.js'
import { rerankedList, scoredList } from './reward-types.js'
import {
  parseRerank, parseScore, rerankBody, scoreBody, type RerankBody, type ScoreBody
} from './reward-score-schema.js'
import { callInference } from '../transport/inference-call.js'
import type { Services } from '../services.js'

export function score (app: FastifyInstance, services: Services): void {
  app.post<{ Body: ScoreBody }>('/v1/score', documented('Scores texts, in vLLM’s shape',
    { body: scoreBody, response: scoredList }), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const request = parseScore(httpRequest.body, services.catalog)
    return scoreList(request, await callInference(services, 'score', request, httpRequest, reply))
  })
  app.post<{ Body: RerankBody }>('/v1/rerank', documented('Ranks documents, in Jina’s shape',
    { body: rerankBody, response: rerankedList }), async (httpRequest, reply) => {
    services.refuseIfDraining()
    const request = parseRerank(httpRequest.body, services.catalog)
    return rerankList(request, await callInference(services, 'score', request.score, httpRequest, reply))
  })
}
