/** What somebody has set for this page, kept in this browser. */
import { effect, signal, type Signal } from '@preact/signals'

function kept<T extends string> (name: string, values: readonly T[]): Signal<T> {
  let stored: string | null = null
  try {
    stored = localStorage.getItem(`fairlead-${name}`)
  } catch {
    // Storage may be switched off.
  }
  const value = signal(values.find(one => one === stored) ?? values[0]!)
  effect(() => {
    const now = value.value
    try {
      localStorage.setItem(`fairlead-${name}`, now)
    } catch {
      // As above.
    }
  })
  return value
}

export const themes = ['system', 'light', 'dark'] as const
export const theme = kept('theme', themes)
/** Whether single letters are commands outside text fields. */
export const letterKeys = kept('letter-keys', ['on', 'off'])

effect(() => { document.documentElement.dataset['theme'] = theme.value })

/** Whether movement is unwelcome. */
export const prefersStill = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches
