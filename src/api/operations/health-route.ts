/**
 * What operators ask: `GET /health` and `/ping` (the process answers, and need not be restarted), `/ready` (it takes
 * requests), `/version`, `/metrics`.
 */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import type { ModelInfo } from '../../serving/protocol.js'
import { packageVersion } from '../../package-root.js'
import { documented } from '../plugins/openapi.js'
import { listOf, orNull } from '../alignment/alignment-types.js'
import type { Services } from '../services.js'

/** A model and what its engine does. */
interface Engine { readonly model: string, readonly engine: object }

const runningModelObject = Type.Object({
  id: Type.String(),
  system_fingerprint: Type.String(),
  format: Type.String({ description: 'weight format in use' }),
  threads: Type.Integer(),
  operators: listOf(Type.String(), 'what its matrices are multiplied with, as the self-test chose it'),
  shared_prompts: Type.Boolean({ description: 'whether candidates share the KV of their prompt where that pays' }),
  device: orNull(Type.Object({
    id: Type.String({ description: 'as the setting device names it' }),
    name: Type.String(),
    kind: Type.String({ description: 'discrete, integrated, virtual, cpu (software), other or unknown' }),
    memory_bytes: orNull(Type.Integer()),
    max_storage_buffer_bytes: orNull(Type.Integer())
  }), 'what it runs on; null: the processor'),
  onnxruntime: Type.String({ description: 'version of ONNX Runtime' }),
  instruction_set: Type.String({ description: 'what the processor says it has, of what kernels are chosen by' }),
  kernels: Type.String({ description: 'tells kernels apart that round differently' }),
  self_test: listOf(Type.String(), 'what the self-test found wrong on this processor, and what is done in its place')
})
const versionObject = Type.Object({
  version: Type.String(),
  models: listOf(runningModelObject, 'none while they are loading')
})
const statusObject = Type.Object({ status: Type.String() })

function runningModel ({ id, fingerprint, operators }: ModelInfo): Static<typeof runningModelObject> {
  const {
    format, threads, operators: names, sharesPrompts, device, onnxruntime, instructionSet, kernels, notes
  } = operators
  return {
    id,
    system_fingerprint: fingerprint,
    format,
    threads,
    operators: names,
    shared_prompts: sharesPrompts,
    device: device && {
      id: device.id,
      name: device.name,
      kind: device.kind,
      memory_bytes: device.memoryBytes,
      max_storage_buffer_bytes: device.maxStorageBufferBytes
    },
    onnxruntime,
    instruction_set: instructionSet,
    kernels,
    self_test: notes
  }
}

export function health (app: FastifyInstance, services: Services): void {
  const open = { access: 'public', response: statusObject } as const
  const alive = (): Static<typeof statusObject> => {
    if (services.problem) throw services.problem
    return { status: 'ok' }
  }
  const summary = 'Whether the process answers and has not lost its models for good'
  app.get('/health', documented(summary, open), alive)
  app.get('/ping', documented(summary, open), alive)
  app.post('/ping', documented(summary, open), alive)
  const about = 'The server’s version, and what its models are run with on this processor'
  const version = (): Static<typeof versionObject> =>
    ({ version: packageVersion, models: services.isReady ? services.inference.models.map(runningModel) : [] })
  app.get('/version', documented(about, { access: 'public', response: versionObject }), version)
  app.get('/ready', documented('Whether the server takes requests', open), async () => {
    services.refuseIfDraining()
    const { store } = services
    if (!store.wasReached && store.problem) throw store.problem
    const { engines, rewardModels } = await services.inference.stats()
    const [{ model, engine }, ...more] =
      engines.map(({ model, ...engine }) => ({ model, engine })) as [Engine, ...Engine[]]
    return {
      status: 'ready',
      // Requests that do not need it are answered without, here as at every replica.
      ...(store.name === null ? {} : { store: { status: store.problem ? 'unavailable' : 'ready' } }),
      model,
      engine: { ...engine, rewardModels },
      ...(more.length === 0 ? {} : { more_models: more })
    }
  })
}
