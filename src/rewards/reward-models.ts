/** The models that rewards bring, as kinds of rewards ask for them. Types only; `serving/model-pool.ts` loads them. */
import type { ModelRuntime } from '../engine/model-runtime.js'
import type { ModelOptions } from '../models/model.js'
import type { OnnxClassifier, OnnxClassifierOptions } from '../models/onnx-classifier.js'

/** A decoder that a reward brings: a built-in name or a path, how its weights are held, and what it is made into. */
export type AskedModel = Pick<ModelOptions, 'model' | 'format' | 'template' | 'variant'>

/** Loads models, each once for all that ask for the same one. */
export interface RewardModels {
  /** @throws RequestError naming the file or model and what is wrong with it */
  load (asked: AskedModel): Promise<ModelRuntime>
  /** @throws RequestError naming the file and what is wrong with it */
  loadOnnx (path: string, sizes: Pick<OnnxClassifierOptions, 'labels' | 'maxTokens'>): Promise<OnnxClassifier>
}
