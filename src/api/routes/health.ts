/** What operators ask: `GET /health` and `/ping` (the process answers, and need not be restarted), `/ready` (it takes requests), `/version`, `/metrics`. */
import type { FastifyInstance } from 'fastify'
import { packageVersion } from '../../package-root.js'
import { documented } from '../openapi.js'
import { statusObject, versionObject } from '../schemas/responses.js'
import type { Services } from '../services.js'

/** A model and what its engine does. */
interface Engine { readonly model: string, readonly engine: object }

export function health (app: FastifyInstance, services: Services): void {
  const open = { access: 'public', response: statusObject } as const
  const alive = (): object => {
    if (services.problem) throw services.problem
    return { status: 'ok' }
  }
  const summary = 'Whether the process answers and has not lost its models for good'
  app.get('/health', documented(summary, open), alive)
  app.get('/ping', documented(summary, open), alive)
  app.post('/ping', documented(summary, open), alive)
  app.get('/version', documented('The server’s version', { access: 'public', response: versionObject }), () => ({ version: packageVersion }))
  app.get('/ready', documented('Whether the server takes requests', open), async () => {
    services.refuseIfDraining()
    const { engines, rewardModels } = await services.inference.stats()
    const [{ model, engine }, ...more] = engines.map(({ model, ...engine }) => ({ model, engine })) as [Engine, ...Engine[]]
    return { status: 'ready', model, engine: { ...engine, rewardModels }, ...(more.length === 0 ? {} : { more_models: more }) }
  })
}
