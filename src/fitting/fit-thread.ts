/**
 * Runs a fit in a thread of its own, so that whoever asks for one goes on with other work: a fit is seconds of
 * arithmetic. Ending the thread is how a fit is cancelled. The thread's own side is `fit-worker.ts`.
 */
import { Worker } from 'node:worker_threads'
import type { FitProgress } from './fit-choices.js'
import type { FitTask, FittedDescriptor } from './fit-task.js'

/** What the thread sends. */
export type FromFitWorker =
  | { readonly type: 'progress', readonly progress: FitProgress }
  | { readonly type: 'fitted', readonly descriptor: FittedDescriptor }

/** How a fit is watched and ended. */
export interface FitThreadOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: FitProgress) => void
}

/**
 * The fitted reward. The task's states move to the thread and are gone here.
 * @throws the signal's reason when aborted
 */
export async function runFitTask (task: FitTask, { signal, onProgress }: FitThreadOptions): Promise<FittedDescriptor> {
  signal?.throwIfAborted()
  const worker = new Worker(new URL('./fit-worker.js', import.meta.url), {
    workerData: task,
    transferList: task.layers.flatMap(({ states, pool }) =>
      [states.values.buffer as ArrayBuffer, pool.values.buffer as ArrayBuffer])
  })
  let leave: (() => void) | undefined
  try {
    return await new Promise((resolve, reject) => {
      leave = () => { reject(signal!.reason) }
      signal?.addEventListener('abort', leave, { once: true })
      worker.on('message', (message: FromFitWorker) => {
        if (message.type === 'progress') onProgress?.(message.progress)
        else resolve(message.descriptor)
      })
      worker.on('error', reject)
      worker.on('exit', () => { reject(new Error('the fit thread exited before it finished')) })
    })
  } finally {
    if (leave) signal?.removeEventListener('abort', leave)
    await worker.terminate()
  }
}
