/**
 * Runs a fit in a thread of its own, so that the caller goes on with other work: a fit is seconds of
 * arithmetic. Ending the thread is how a fit is cancelled. The thread's own side is `fit-worker.ts`.
 */
import { Worker } from 'node:worker_threads'
import type { FitProgress, FitTask, FittedDescriptor } from './fit-task.js'
import type { FormTask, TokenFormFit } from './fit-token-form.js'

/** What the thread is given: a reward to fit, or the form of a Q-head. */
export type FitJob = { readonly type: 'reward', readonly task: FitTask }
  | { readonly type: 'form', readonly task: FormTask }

/** What the thread sends. */
export type FromFitWorker =
  | { readonly type: 'progress', readonly progress: FitProgress }
  | { readonly type: 'fitted', readonly fitted: FittedDescriptor | TokenFormFit }

/** How a fit is watched and ended. */
export interface FitThreadOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: FitProgress) => void) | undefined
}

async function run (
  job: FitJob, transferList: ArrayBuffer[], { signal, onProgress }: FitThreadOptions
): Promise<FittedDescriptor | TokenFormFit> {
  signal?.throwIfAborted()
  const worker = new Worker(new URL('./fit-worker.js', import.meta.url), { workerData: job, transferList })
  let leave: (() => void) | undefined
  try {
    return await new Promise((resolve, reject) => {
      leave = () => { reject(signal!.reason) }
      signal?.addEventListener('abort', leave, { once: true })
      worker.on('message', (message: FromFitWorker) => {
        if (message.type === 'progress') onProgress?.(message.progress)
        else resolve(message.fitted)
      })
      worker.on('error', reject)
      worker.on('exit', () => { reject(new Error('the fit thread exited before it finished')) })
    })
  } finally {
    if (leave) signal?.removeEventListener('abort', leave)
    await worker.terminate()
  }
}

/**
 * The fitted reward. The task's states move to the thread and are gone here.
 * @throws the signal's reason when aborted
 */
export async function runFitTask (task: FitTask, options: FitThreadOptions): Promise<FittedDescriptor> {
  const states = task.layers.flatMap(({ states, pool }) =>
    [states.values.buffer as ArrayBuffer, pool.values.buffer as ArrayBuffer])
  return await run({ type: 'reward', task }, states, options) as FittedDescriptor
}

/** The fitted form of a Q-head. @throws the signal's reason when aborted */
export async function runFormTask (task: FormTask, signal?: AbortSignal): Promise<TokenFormFit> {
  return await run({ type: 'form', task }, [], { signal }) as TokenFormFit
}
