/**
 * The models beside those that are served: decoders and ONNX graphs that rewards bring, and contrast models; loaded
 * once for all that name the same one. They run in turns with the served models. Knows no kinds of rewards.
 */
import type { Config } from '../settings.js'
import type { ComputeLock } from '../engine/compute-lock.js'
import type { ModelRuntime } from '../engine/model-runtime.js'
import { loadOnnxClassifier, type OnnxClassifier, type OnnxClassifierOptions } from '../models/onnx-classifier.js'
import type { AskedModel, RewardModels } from '../rewards/reward-models.js'
import type { RewardModelStats } from './calls.js'
import { loadRuntime, type RuntimeOptions } from './load-runtime.js'

/** The settings that count for them. */
export type PoolConfig =
  Pick<Config, 'threads' | 'cacheDir' | 'rewardKvCacheBytes' | 'prefillTokensPerStep' | 'maxQueuedRequests'>

/** Sequences that run at the same time: more may be open. */
const maxSequences = 160
/** Of the KV that may be reserved, what is kept beside it for later prompts with the same prefix. */
const cachedShare = 1 / 4

/** Whose turns models take: the processor's, and those of the device that decoders run on, if there is one. */
interface Compute extends Pick<RuntimeOptions, 'device'> { readonly computeLock: ComputeLock }

export class ModelPool implements RewardModels {
  readonly #config: PoolConfig
  readonly #compute: Compute
  readonly #onProgress: (message: string) => void
  readonly #decoders = new Map<string, Promise<ModelRuntime>>()
  readonly #classifiers = new Map<string, Promise<OnnxClassifier>>()
  /** Those that can be used by now, in the order in which they were loaded. */
  readonly #ready: Array<ModelRuntime | OnnxClassifier> = []
  /** How many decoders were asked for. */
  #asked = 0

  /** @param compute shared with the served models */
  constructor (config: PoolConfig, compute: Compute, onProgress: (message: string) => void = () => {}) {
    this.#config = config
    this.#compute = compute
    this.#onProgress = onProgress
  }

  load (asked: AskedModel): Promise<ModelRuntime> {
    const { model, format, template, variant: { layers, adapter } = {} } = asked
    return this.#once(this.#decoders, [model, format, template, layers, adapter], () => this.#load(asked))
  }

  loadOnnx (path: string, sizes: Pick<OnnxClassifierOptions, 'labels' | 'maxTokens'>): Promise<OnnxClassifier> {
    const { threads } = this.#config
    return this.#once(this.#classifiers, [path, sizes],
      () => loadOnnxClassifier(path, { ...sizes, threads, inTurn: run => this.#compute.computeLock.inTurn(run) }))
  }

  /** What there is at this moment, in the order in which it was loaded. */
  stats (): RewardModelStats[] {
    return this.#ready.map(loaded => {
      if (!('engine' in loaded)) {
        return { id: loaded.id, weightBytes: loaded.weightBytes, kvBytes: 0, tokens: loaded.tokens }
      }
      const { model: { id, weightBytes }, engine } = loaded
      const { kvTokens, kvBytesPerToken, prefixCacheBytes } = engine.stats()
      const { decodeRows, paddingRows, prefillTokens } = engine.counters
      return {
        id,
        weightBytes,
        kvBytes: kvTokens * kvBytesPerToken + prefixCacheBytes,
        tokens: decodeRows - paddingRows + prefillTokens
      }
    })
  }

  /** Ends every sequence and frees all memory, after the steps in flight. */
  async close (): Promise<void> {
    for (const loading of this.#decoders.values()) {
      const loaded = await loading.catch(() => null)
      await loaded?.engine.close()
      await loaded?.model.dispose()
    }
    for (const loading of this.#classifiers.values()) (await loading.catch(() => null))?.dispose()
  }

  #once<T extends ModelRuntime | OnnxClassifier> (
    known: Map<string, Promise<T>>, asked: readonly unknown[], load: () => Promise<T>
  ): Promise<T> {
    const key = JSON.stringify(asked)
    const loading = known.get(key) ?? load()
    if (known.has(key)) return loading
    known.set(key, loading)
    // A failed load may be retried: the file or the network may come back.
    loading.then(loaded => { this.#ready.push(loaded) }, () => { known.delete(key) })
    return loading
  }

  #load (asked: AskedModel): Promise<ModelRuntime> {
    const { threads, cacheDir, rewardKvCacheBytes, prefillTokensPerStep, maxQueuedRequests } = this.#config
    return loadRuntime({ threads, cacheDir, onProgress: this.#onProgress, ...asked, contextLength: 0 }, {
      ...this.#compute,
      joinsChunks: true,
      maxSequences,
      kvCacheBytes: rewardKvCacheBytes,
      prefixCacheBytes: Math.floor(rewardKvCacheBytes * cachedShare),
      prefillTokensPerStep,
      maxQueued: maxQueuedRequests,
      kvSetting: 'reward-kv-cache-bytes',
      order: ++this.#asked
    })
  }
}
