/** Another caller beside an attack: how long /health and a plain stream keep it waiting. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

export interface CanaryOrders { readonly url: string, readonly key: string, readonly model: string }

/** What everything took, ms; what was still awaited at the end is in it with the time it had taken by then. */
export interface CanaryFigures {
  readonly health: number[]
  /** Between two pieces of a stream. */
  readonly gaps: number[]
  /** From a request to its first piece. */
  readonly firstTokens: number[]
  /** What was not answered, in words. */
  readonly refused: string[]
}

/** Starts it. @returns what ends it and tells its figures */
export function startCanary (orders: CanaryOrders): () => Promise<CanaryFigures> {
  const worker = new Worker(new URL('canary-worker.js', import.meta.url), { workerData: orders })
  const failed = new Promise<never>((_resolve, reject) => { worker.once('error', reject) })
  failed.catch(() => {})
  return async () => {
    const told = once(worker, 'message')
    worker.postMessage('stop')
    const [figures] = await Promise.race([told, failed]) as [CanaryFigures]
    await worker.terminate()
    return figures
  }
}
