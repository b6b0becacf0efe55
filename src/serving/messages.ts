/** Messages between the main thread (`inference-client.ts`) and the inference thread (`inference-worker.ts`). */
import type { RequestErrorData } from '../errors.js'
import type { RewardInfo } from '../rewards/reward-info.js'
import type { CallName, Calls, FittingProgress } from './calls.js'
import type { GenerateRequest, GenerationEvent, ModelInfo, Used } from './protocol.js'

/** Main thread → inference thread. */
export type ToWorker =
  | { readonly type: 'generate', readonly id: number, readonly request: GenerateRequest }
  | {
    readonly type: 'call', readonly id: number, readonly name: CallName, readonly request: Calls[CallName]['request']
  }
  | { readonly type: 'abort', readonly id: number }
  | { readonly type: 'close' }

/** Inference thread → main thread. */
export type FromWorker =
  | { readonly type: 'loading', readonly message: string }
  /** The default model is the first. */
  | { readonly type: 'ready', readonly models: readonly ModelInfo[], readonly rewards: readonly RewardInfo[] }
  | { readonly type: 'event', readonly id: number, readonly event: GenerationEvent }
  | { readonly type: 'progress', readonly id: number, readonly progress: FittingProgress }
  /** All rewards that fit a model, whenever that changes. */
  | { readonly type: 'rewards', readonly rewards: readonly RewardInfo[] }
  | { readonly type: 'answer', readonly id: number, readonly answer: Calls[CallName]['answer'] }
  | { readonly type: 'done', readonly id: number, readonly used: Used }
  | { readonly type: 'failed', readonly id: number, readonly error: RequestErrorData, readonly used: Used }
  | { readonly type: 'fatal', readonly error: RequestErrorData }
