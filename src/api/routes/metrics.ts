/** `GET /metrics`, in Prometheus' text format. */
import type { FastifyInstance } from 'fastify'
import { documented } from '../openapi.js'
import type { Services } from '../services.js'

export function metrics (app: FastifyInstance, services: Services): void {
  const { metrics, config } = services
  app.addHook('onResponse', async (request, reply) => {
    metrics.answered(request.routeOptions.url ?? 'none', request.method, reply.statusCode)
  })
  app.get('/metrics', documented('What operators watch', { contentType: 'text/plain' }), async (_, reply) => {
    reply.type(metrics.contentType)
    if (!services.isReady) return await metrics.text('', null)
    const { model } = services.inference
    const stats = await services.inference.stats()
    return await metrics.text(model.id, { ...stats, kvUsage: stats.kvTokens * stats.kvBytesPerToken / config.kvCacheBytes })
  })
}
