/** Whether the server is there and ready, and what it serves: asked every few seconds, more often until it is. */
import { signal } from '@preact/signals'
import type { Model, RewardListItem } from '../logic/api-types.js'
import { ApiFailure, call } from './http.js'
import { isReady, link, type Link } from './link.js'

interface Engine { readonly runningRequests?: number, readonly waitingRequests?: number }
interface Ready { readonly engine: Engine, readonly more_models?: ReadonlyArray<{ readonly engine: Engine }> }

export const models = signal<readonly Model[]>([])
export const rewards = signal<readonly RewardListItem[]>([])
/** `/openapi.json`: what forms are made of. */
export const openapi = signal<unknown>(null)
/** Version and fingerprint of what runs, as `GET /version` tells. */
export const version = signal<{ version: string, models: ReadonlyArray<{ id: string, system_fingerprint: string }> }>({
  version: '', models: []
})

const readyEveryMs = 15_000
const loadingEveryMs = 2000
let failures = 0
let timer: ReturnType<typeof setTimeout> | undefined

/** What the server has; asked again after each change. @throws ApiFailure */
export async function loadLists (): Promise<void> {
  const [modelList, rewardList] = await Promise.all([
    call<{ data: Model[] }>('/v1/models'), call<{ data: RewardListItem[] }>('/v1/rewards')
  ])
  models.value = modelList.data
  rewards.value = rewardList.data
}

async function loadOnce (): Promise<void> {
  if (openapi.value === null) openapi.value = await call('/openapi.json')
  version.value = await call('/version')
  await loadLists()
}

/** The state that a failed call shows. */
function linkOf (failure: ApiFailure): Link {
  if (failure.code === 'invalid_api_key') return { state: 'key' }
  if (failure.status === 503) return { state: /shutting down/.test(failure.message) ? 'draining' : 'loading' }
  const seconds = Math.min(8, 2 ** failures++)
  return { state: 'lost', until: Date.now() + seconds * 1000 }
}

function next (ms: number): void {
  clearTimeout(timer)
  timer = setTimeout(() => { checkNow().catch(reportError) }, ms)
}

/** Asks now. */
export async function checkNow (): Promise<void> {
  try {
    const { engine, more_models: more = [] } = await call<Ready>('/ready')
    if (models.value.length === 0 || !isReady.value) await loadOnce()
    failures = 0
    const sum = (field: keyof Engine): number =>
      [engine, ...more.map(one => one.engine)].reduce((all, one) => all + (one[field] ?? 0), 0)
    link.value = { state: 'ready', running: sum('runningRequests'), waiting: sum('waitingRequests') }
    next(readyEveryMs)
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error
    link.value = linkOf(error)
    next(link.value.state === 'lost' ? link.value.until - Date.now() : loadingEveryMs)
  }
}

/** Begins to ask, and asks at once whenever the page is looked at again. */
export function watchServer (): void {
  document.addEventListener('visibilitychange', () => { if (!document.hidden) checkNow().catch(reportError) })
  checkNow().catch(reportError)
}

/** A call's failure that says something of the connection. */
export function noteFailure (failure: ApiFailure): void {
  if (failure.code === 'invalid_api_key' || failure.code === 'network') link.value = linkOf(failure)
  if (failure.code === 'network') next(1000)
}
