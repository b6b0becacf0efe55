/** How long a request lasts. */
import { setMaxListeners } from 'node:events'

/** A signal that ends whatever the request opened, when it ends or its client disconnects. */
export function requestScope (signal: AbortSignal): { signal: AbortSignal, end: () => void } {
  const controller = new AbortController()
  const either = AbortSignal.any([signal, controller.signal])
  // Every sequence of the request listens.
  setMaxListeners(0, either)
  return { signal: either, end: () => { controller.abort(new Error('the request has ended')) } }
}
