/** `GET /health`: the process answers. `GET /ready`: it takes requests. */
import type { FastifyInstance } from 'fastify'
import type { Services } from '../services.js'

export function health (app: FastifyInstance, services: Services): void {
  app.get('/health', () => ({ status: 'ok' }))
  app.get('/ready', async () => {
    services.refuseIfDraining()
    const { model } = services.inference
    return { status: 'ready', model: model.id, engine: await services.inference.stats() }
  })
}
