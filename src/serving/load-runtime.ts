/** The one place where a model, be it a policy, a reward's or a contrast's, gets its engine and its KV budget. */
import { Engine, type EngineOptions } from '../engine/engine.js'
import type { OpenedDevice } from '../engine/executor/device/device-executor.js'
import type { ModelRuntime, RunningModel } from '../engine/model-runtime.js'
import { RequestError } from '../errors.js'
import { loadDeviceModel } from '../models/device/load-device-model.js'
import { loadModel, type LoadedModel, type ModelFacts, type ModelOptions } from '../models/model.js'
import type { OpenDevice } from '../runtime/device-facts.js'
import { AdmissionQueue } from './admission-queue.js'
import type { ModelDevice } from './model-device.js'

export interface RuntimeOptions extends Omit<EngineOptions, 'contextLength'> {
  /** What models run on in place of the processor. */
  readonly device?: ModelDevice | null
  /** Requests that may wait for KV. */
  readonly maxQueued: number
  /** The setting that kvCacheBytes comes from, for errors. Default kv-cache-bytes. */
  readonly kvSetting?: string
  /** Default 0: a served model. */
  readonly order?: number
}

/** Adds to an error of the engine's memory which model's context is too long, and who set it. */
function withContext<T> (id: string, tokens: number, isServed: boolean, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    throw new RequestError(error.code,
      `${isServed ? 'context-length: ' : ''}there is no memory for ${id}'s context of ${tokens} tokens: ` +
        `${error.message}`,
      { param: isServed ? 'contextLength' : null, cause: error })
  }
}

/** @param runs what runs the model: itself on the processor */
function runtimeOf (model: RunningModel, runs: LoadedModel | OpenedDevice, options: RuntimeOptions): ModelRuntime {
  const { maxQueued, kvSetting = 'kv-cache-bytes', order = 0, ...engineOptions } = options
  const { id, contextLength } = model
  const engine =
    withContext(id, contextLength, order === 0, () => new Engine(runs, { ...engineOptions, contextLength }))
  const { kvBytesPerToken: bytesPerToken } = engine.stats()
  const maxTokens = Math.min(Math.floor(options.kvCacheBytes / bytesPerToken), engine.maxKvTokens)
  const kvBudget = new AdmissionQueue({ maxTokens, bytesPerToken, contextLength, maxQueued, setting: kvSetting })
  return { model, engine, kvBudget, order }
}

/** @throws RequestError where there is no memory for the KV of sequences as long as the model's context */
export const createRuntime = (model: LoadedModel, options: RuntimeOptions): ModelRuntime =>
  runtimeOf(model, model, options)

/**
 * Runs a few tokens by every kernel, with and without all logits: a device compiles what it runs when it first does,
 * and no request should wait for that.
 */
async function warmUp ({ engine, model: { contextLength } }: ModelRuntime): Promise<void> {
  for (const count of [40, 4, 1]) {
    const sequence =
      engine.open(new Array<number>(Math.min(count, contextLength)).fill(0), { salt: 'warm-up', listedLogits: true })
    try {
      await sequence.output()
      await sequence.completeOutput()
    } finally {
      sequence.close()
    }
  }
}

/** Of a device's memory what the KV of a served model may take, and of another one. */
const [servedShare, otherShare] = [1 / 2, 1 / 8]

/** The KV that the settings, whose defaults are shares of the system's memory, leave a model on a device. */
function kvOnDevice (
  { kvCacheBytes, prefixCacheBytes, order = 0, kvSetting = 'kv-cache-bytes' }: RuntimeOptions,
  { about: { name, memoryBytes } }: OpenDevice, id: string, onProgress: (message: string) => void
): Pick<RuntimeOptions, 'kvCacheBytes' | 'prefixCacheBytes'> {
  const most = (memoryBytes ?? Infinity) * (order === 0 ? servedShare : otherShare)
  const share = Math.min(1, most / (kvCacheBytes + prefixCacheBytes))
  if (share === 1) return { kvCacheBytes, prefixCacheBytes }
  const held = {
    kvCacheBytes: Math.floor(share * kvCacheBytes), prefixCacheBytes: Math.floor(share * prefixCacheBytes)
  }
  onProgress(`${id}: ${held.kvCacheBytes} bytes of KV in place of the ${kvCacheBytes} of ${kvSetting}, and ` +
    `${held.prefixCacheBytes} of cached prefixes: ${name} has ${memoryBytes!} bytes of memory`)
  return held
}

/** Cached prefixes lie in the blocks that no sequence holds: the cache is as large as both may be together. */
async function createOnDevice (
  asked: ModelOptions, given: RuntimeOptions, device: ModelDevice, check: (model: ModelFacts) => void
): Promise<ModelRuntime> {
  let on = device.current
  let model = await loadDeviceModel(asked, on)
  let runtime: ModelRuntime | null = null
  const options = { ...given, ...kvOnDevice(given, on, model.id, asked.onProgress ?? (() => {})) }
  const size = { contextLength: model.contextLength, kvCacheBytes: options.kvCacheBytes + options.prefixCacheBytes }
  try {
    check(model)
    const decoder = await model.device.openDecoder(size)
    const reopen: OpenedDevice['reopen'] = async () => {
      on = await device.reopen(on)
      model = await loadDeviceModel(asked, on)
      return await model.device.openDecoder(size)
    }
    runtime = runtimeOf({ ...model, sessions: null, dispose: () => model.dispose() }, { decoder, reopen },
      { ...options, computeLock: device.lock })
    await warmUp(runtime)
    return runtime
  } catch (error) {
    await runtime?.engine.close()
    await model.dispose()
    throw error
  }
}

/**
 * Loads a model and sets up what runs it.
 * @param check throws for a model that is none of the kind that is wanted
 * @throws RequestError for a model that cannot be loaded, and for a context that there is no memory for
 */
export async function loadRuntime (
  asked: ModelOptions, given: RuntimeOptions, check: (model: ModelFacts) => void = () => {}
): Promise<ModelRuntime> {
  const { onProgress } = asked
  const options = { ...given, ...(onProgress ? { onProblem: onProgress } : {}) }
  if (options.device) return await createOnDevice(asked, options, options.device, check)
  const model = await loadModel(asked)
  try {
    check(model)
    return createRuntime(model, options)
  } catch (error) {
    model.dispose()
    throw error
  }
}
