/**
 * The models that rewards bring: decoders, each with an engine of its own, and ONNX graphs; loaded once for all rewards
 * that name the same one. Their steps take turns with the policy's. Knows no policy and no kinds of rewards.
 */
import type { ComputeLock } from '../engine/compute-lock.js'
import { Engine } from '../engine/engine.js'
import { RequestError } from '../errors.js'
import { loadModel, type LoadedModel, type ModelOptions } from '../models/model.js'
import { loadOnnxClassifier, type OnnxClassifier, type OnnxClassifierOptions } from '../models/onnx-classifier.js'

/** A model and what reads through it. */
export interface RewardModel {
  readonly model: LoadedModel
  readonly engine: Engine
  /** Its place among the models: who needs several takes them in this order, the policy, which has 0, first. */
  readonly order: number
}

export interface RewardModelsOptions extends Pick<ModelOptions, 'threads' | 'cacheDir' | 'onProgress'> {
  /** Turns with the policy. */
  readonly computeLock: ComputeLock
  /** Bytes of KV that requests may reserve in each model. */
  readonly kvCacheBytes: number
  /** Prompt tokens read in one step. */
  readonly prefillTokensPerStep: number
  /** Requests that may wait for KV. */
  readonly maxQueued: number
}

/** A decoder that a reward brings: a name of a model in the box or a path, how it is held, and what it is made into. */
export type AskedModel = Pick<ModelOptions, 'model' | 'format' | 'template' | 'variant'>

/** Sequences that run at the same time: more may be open. */
const maxSequences = 160
/** Of the KV that may be reserved, what is kept beside it for later prompts that begin alike. */
const cachedShare = 1 / 4

export class RewardModels {
  readonly #options: RewardModelsOptions
  readonly #loaded = new Map<string, Promise<RewardModel>>()
  readonly #classifiers = new Map<string, Promise<OnnxClassifier>>()
  /** Those that can be used by now. */
  readonly #ready: Array<RewardModel | OnnxClassifier> = []
  /** How many were asked for. */
  #asked = 0

  constructor (options: RewardModelsOptions) { this.#options = options }

  /**
   * @throws RequestError naming the file or model and what is wrong with it
   */
  load (asked: AskedModel): Promise<RewardModel> {
    const { model, format, template, variant: { layers, adapter } = {} } = asked
    const key = JSON.stringify([model, format, template, layers, adapter])
    const known = this.#loaded.get(key)
    if (known) return known
    const loading = this.#load(asked, ++this.#asked)
    this.#loaded.set(key, loading)
    // What failed may be tried again: a file may come, and a network.
    loading.catch(() => { this.#loaded.delete(key) })
    return loading
  }

  async #load (asked: AskedModel, order: number): Promise<RewardModel> {
    const { computeLock, threads, cacheDir, onProgress, kvCacheBytes, prefillTokensPerStep, maxQueued } = this.#options
    const model =
      await loadModel({ threads, cacheDir, ...(onProgress ? { onProgress } : {}), ...asked, contextLength: 0 })
    try {
      const engine = new Engine(model, {
        computeLock,
        joinsChunks: true,
        contextLength: model.contextLength,
        maxSequences,
        kvCacheBytes,
        prefixCacheBytes: Math.floor(kvCacheBytes * cachedShare),
        prefillTokensPerStep,
        maxQueued,
        kvSetting: 'reward-kv-cache-bytes',
        ...(onProgress ? { onProblem: onProgress } : {})
      })
      const loaded = { model, engine, order }
      this.#ready.push(loaded)
      return loaded
    } catch (error) {
      model.dispose()
      throw error instanceof RequestError
        ? new RequestError(error.code, `${model.id} has a context of ${model.contextLength} tokens, and there is ` +
          `not enough memory for it: ${error.message}`, { cause: error })
        : error
    }
  }

  /** @throws RequestError naming the file and what is wrong with it */
  loadOnnx (path: string, sizes: Pick<OnnxClassifierOptions, 'labels' | 'maxTokens'>): Promise<OnnxClassifier> {
    const key = JSON.stringify([path, sizes])
    const { computeLock, threads } = this.#options
    const known = this.#classifiers.get(key)
    if (known) return known
    const loading = loadOnnxClassifier(path, { ...sizes, threads, inTurn: run => computeLock.inTurn(run) })
    this.#classifiers.set(key, loading)
    loading.then(classifier => { this.#ready.push(classifier) }, () => { this.#classifiers.delete(key) })
    return loading
  }

  /**
   * What there is at this moment: bytes of weights, bytes of KV that are held, tokens run since it was loaded; in the
   * order in which they were loaded.
   */
  stats (): Array<{ id: string, weightBytes: number, kvBytes: number, tokens: number }> {
    return this.#ready.map(loaded => {
      if (!('engine' in loaded)) {
        return { id: loaded.id, weightBytes: loaded.weightBytes, kvBytes: 0, tokens: loaded.tokens }
      }
      const { model, engine } = loaded
      const { kvTokens, kvBytesPerToken, prefixCacheBytes } = engine.stats()
      const { decodeRows, paddingRows, prefillTokens } = engine.counters
      return {
        id: model.id,
        weightBytes: model.weightBytes,
        kvBytes: kvTokens * kvBytesPerToken + prefixCacheBytes,
        tokens: decodeRows - paddingRows + prefillTokens
      }
    })
  }

  /** Ends every sequence and frees all memory, after the steps in flight. */
  async close (): Promise<void> {
    for (const loading of this.#loaded.values()) {
      const loaded = await loading.catch(() => null)
      await loaded?.engine.close()
      loaded?.model.dispose()
    }
    for (const loading of this.#classifiers.values()) (await loading.catch(() => null))?.dispose()
  }
}
