/** How things stand with the server. */
import { computed, signal } from '@preact/signals'

export type Link =
  | { readonly state: 'connecting' | 'loading' | 'draining' | 'file' }
  | { readonly state: 'ready', readonly running: number, readonly waiting: number }
  | { readonly state: 'key' }
  /** `until`: when it is tried again, ms since the epoch. */
  | { readonly state: 'lost', readonly until: number }

export const link = signal<Link>({ state: 'connecting' })
export const isReady = computed(() => link.value.state === 'ready')
