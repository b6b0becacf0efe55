/** The one place where a model, be it a policy, a reward's or a contrast's, gets its engine and its KV budget. */
import { Engine, type EngineOptions } from '../engine/engine.js'
import type { ModelRuntime } from '../engine/model-runtime.js'
import { RequestError } from '../errors.js'
import { loadModel, type LoadedModel, type ModelOptions } from '../models/model.js'
import { AdmissionQueue } from './admission-queue.js'

export interface RuntimeOptions extends Omit<EngineOptions, 'contextLength'> {
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

/** @throws RequestError where there is no memory for the KV of sequences as long as the model's context */
export function createRuntime (
  model: LoadedModel, { maxQueued, kvSetting = 'kv-cache-bytes', order = 0, ...options }: RuntimeOptions
): ModelRuntime {
  const { id, contextLength } = model
  const engine = withContext(id, contextLength, order === 0, () => new Engine(model, { ...options, contextLength }))
  const { kvBytesPerToken: bytesPerToken } = engine.stats()
  const maxTokens = Math.floor(options.kvCacheBytes / bytesPerToken)
  const kvBudget = new AdmissionQueue({ maxTokens, bytesPerToken, contextLength, maxQueued, setting: kvSetting })
  return { model, engine, kvBudget, order }
}

/**
 * Loads a model and sets up what runs it.
 * @param check throws for a model that is none of the kind that is wanted
 * @throws RequestError for a model that cannot be loaded, and for a context that there is no memory for
 */
export async function loadRuntime (
  asked: ModelOptions, options: RuntimeOptions, check: (model: LoadedModel) => void = () => {}
): Promise<ModelRuntime> {
  const { onProgress } = asked
  const model = await loadModel(asked)
  try {
    check(model)
    return createRuntime(model, { ...options, ...(onProgress ? { onProblem: onProgress } : {}) })
  } catch (error) {
    model.dispose()
    throw error
  }
}
