/**
 * What operators ask: `GET /health` and `/ping` (the process answers, and need not be restarted), `/ready` (it takes
 * requests), `/version`, `/metrics`.
 */
import type { FastifyInstance } from 'fastify'
import type { ModelInfo } from '../../serving/protocol.js'
import { packageVersion } from '../../package-root.js'
import { documented } from '../plugins/openapi.js'
import { statusObject, versionObject } from '../schemas/answer-schemas.js'
import type { Services } from '../services.js'

/** A model and what its engine does. */
interface Engine { readonly model: string, readonly engine: object }

function runningModel ({ id, fingerprint, operators }: ModelInfo): object {
  const { format, threads, operators: names, sharesPrompts, onnxruntime, instructionSet, kernels, notes } = operators
  return {
    id,
    system_fingerprint: fingerprint,
    format,
    threads,
    operators: names,
    shared_prompts: sharesPrompts,
    onnxruntime,
    instruction_set: instructionSet,
    kernels,
    self_test: notes
  }
}

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
  const about = 'The server’s version, and what its models are run with on this processor'
  app.get('/version', documented(about, { access: 'public', response: versionObject }), () => {
    return { version: packageVersion, models: services.isReady ? services.inference.models.map(runningModel) : [] }
  })
  app.get('/ready', documented('Whether the server takes requests', open), async () => {
    services.refuseIfDraining()
    const { engines, rewardModels } = await services.inference.stats()
    const [{ model, engine }, ...more] =
      engines.map(({ model, ...engine }) => ({ model, engine })) as [Engine, ...Engine[]]
    return {
      status: 'ready', model, engine: { ...engine, rewardModels }, ...(more.length === 0 ? {} : { more_models: more })
    }
  })
}
