/** `GET /metrics`, in Prometheus' text format. */
import type { FastifyInstance } from 'fastify'
import { documented } from '../plugins/openapi.js'
import type { Services } from '../services.js'

export function metrics (app: FastifyInstance, services: Services): void {
  const { metrics, config } = services
  app.get('/metrics', documented('What operators watch', { contentType: 'text/plain' }), async (_, reply) => {
    reply.type(metrics.contentType)
    if (!services.isReady) return await metrics.text(null)
    const { engines, rewardModels } = await services.inference.stats()
    const figures = engines.flatMap(engine => 'replicas' in engine
      ? []
      : [[engine.model, {
          ...engine, kvUsage: engine.kvTokens * engine.kvBytesPerToken / config.kvCacheBytes
        }] as const])
    const remotes = engines.flatMap(engine => 'replicas' in engine ? [engine] : [])
    return await metrics.text({ engines: new Map(figures), remotes, rewardModels })
  })
}
