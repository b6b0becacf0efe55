/** The server process: settings → inference thread begins to load, listen → ready; graceful end. */
import type { buildApp } from './api/app.js'
import { isLoopback } from './api/plugins/keys.js'
import { watchSilentConnections } from './api/transport/silent-connections.js'
import { closeAllConnections } from './api/transport/web-sockets.js'
import { Services } from './api/services.js'
import type { Config } from './settings.js'
import { InferenceClient } from './serving/inference-client.js'

/** A server that listens, its model loaded or being loaded. */
export interface Server {
  /** Base URL, http://host:port. */
  readonly address: string
  /** Resolves when the model takes requests; rejects if it cannot be loaded. */
  readonly ready: Promise<void>
  /** Refuses new work, lets what runs end until drainTimeoutMs, ends what runs then, closes everything. Idempotent. */
  close (): Promise<void>
}

type App = Awaited<ReturnType<typeof buildApp>>

/** How long clients may take to read why their requests were ended, ms. */
const lastWordsMs = 2000

/** The routes are loaded here, while the inference thread begins to load its models. */
async function listen (services: Services): Promise<{ readonly app: App, readonly address: string }> {
  const app = await (await import('./api/app.js')).buildApp(services)
  return { app, address: await app.listen({ host: services.config.host, port: services.config.port }) }
}

/** Listens at once, so that /health answers while the model loads; /ready answers when it has. */
export async function startServer (config: Config, onProgress: (message: string) => void): Promise<Server> {
  let client: InferenceClient | null = null
  const services = new Services(config, () => client, onProgress)
  if (!isLoopback(config.host) && !services.keys.areNeeded) {
    onProgress(`warning: whoever reaches ${config.host} may use the server, since there are no API keys (api-keys, ` +
      'api-keys-file); what needs the role admin is refused, since nobody has it (admin-keys)' +
      (services.config.inspector === 'on' ? '; the inspector is open to them too (inspector)' : ''))
  }
  if (config.keptRuns > 0) {
    onProgress(`the last ${config.keptRuns} runs are kept in memory, prompts and answers included: their callers can ` +
      'read them at /v1/runs, and keys with the role admin all of them (kept-runs)')
  }
  const loading = services.store.reached.then(() => InferenceClient.start(config, onProgress))
  const ready = loading.then(started => { client = started })
  // Whoever waits for it is told later.
  ready.catch(() => {})
  const { app, address } = await listen(services).catch(async (error: unknown) => {
    loading.then(started => started.close()).catch(() => {})
    await services.store.close()
    throw error
  })
  const closeSilentConnections = watchSilentConnections(app.server)
  const close = async (): Promise<void> => {
    services.drain()
    // What has not been reached yet is waited for no longer.
    if (!services.store.wasReached) await services.store.close()
    const started = await loading.catch(() => null)
    let ended: Promise<void> | undefined
    const endInference = (): Promise<void> | undefined => (ended ??= started?.close())
    const timers = [
      setTimeout(endInference, config.drainTimeoutMs),
      setTimeout(() => { closeAllConnections(app) }, config.drainTimeoutMs + lastWordsMs)
    ]
    await services.idle()
    timers.push(setTimeout(closeSilentConnections, lastWordsMs))
    await app.close()
    for (const timer of timers) clearTimeout(timer)
    await endInference()
    await services.store.close()
  }
  let closing: Promise<void> | null = null
  return { address, ready, close: () => (closing ??= close()) }
}
