/** The API key: in memory and for this tab, on this device only where that is asked for. Never in an address. */
import { signal } from '@preact/signals'

const name = 'fairlead-key'

const read = (storage: () => Storage): string | null => {
  try {
    return storage().getItem(name)
  } catch {
    return null
  }
}

const held = signal<string | null>(read(() => sessionStorage) ?? read(() => localStorage))

/** The key that calls are sent with; null for none. */
export const keyStored = (): string | null => held.value

/** @param remember whether this device is to keep it when the tab is closed */
export function storeKey (key: string | null, remember: boolean): void {
  held.value = key
  for (const [storage, keeps] of [[() => sessionStorage, true], [() => localStorage, remember]] as const) {
    try {
      if (key !== null && keeps) storage().setItem(name, key)
      else storage().removeItem(name)
    } catch {
      // Storage may be switched off: the key is in memory then.
    }
  }
}
