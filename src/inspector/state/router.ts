/** The address's hash selects a view and what is in it. It never starts anything. */
import { computed, signal } from '@preact/signals'

const hash = signal(location.hash)
addEventListener('hashchange', () => { hash.value = location.hash })

/** `#/rewards/positive` → `{ view: 'rewards', name: 'positive' }`. */
export const route = computed(() => {
  const [view = '', name] = hash.value.replace(/^#\/?/, '').split('?')[0]!.split('/')
  let decoded: string | null = null
  try {
    decoded = name === undefined || name === '' ? null : decodeURIComponent(name)
  } catch {
    // No name that this page has written.
  }
  return { view: view === '' ? 'run' : view, name: decoded }
})

export const hrefOf = (view: string, name?: string): string =>
  `#/${view}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`

export function go (view: string, name?: string): void { location.hash = hrefOf(view, name) }
