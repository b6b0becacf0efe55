/** Rewards that another replica keeps or deletes count here with the next request. */
import type { FastifyInstance } from 'fastify'
import type { Services } from '../services.js'

/** To be called after callers are known. */
export function installFreshRewards (app: FastifyInstance, services: Services): void {
  if (services.store.name === null) return
  app.addHook('preHandler', async ({ routeOptions, is404 }) => {
    if (!is404 && routeOptions.config.access !== 'public') await services.refreshRewards()
  })
}
